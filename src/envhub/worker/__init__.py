"""SEALED: standard library, numpy and gymnasium only, in the syntax of Python 3.8.

These files run under the env's own interpreter as well as in the client, so the wire and the
loading of a repo have one definition. Nothing of envhub is imported here.
"""
