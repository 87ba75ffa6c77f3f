"""The client's end of the data plane: the vector env, its workers, recovery, send and recv."""
