"""The commands that ring a worker, and the marks on its answers.

| command | payload | answer |
|---|---|---|
| BUILD | whatever the worker's factories need | spaces, metadata |
| MAP | sizes, slots, autoreset mode, spaces | whether the spaces are the same |
| RESET | seeds, options, mask | observations |
| STEP | nothing (actions in the block), or actions | observations |
| CALL | name, args, kwargs | results |
| SET | name, values | nothing |
| REPLAY | episodes | for each env whether it went the same way |
| LOSE | seeds, last observations, cause | nothing |
| CLOSE | nothing | twice: at once, and when the envs are closed |

An answer has the sequence number and the slot of its command.
"""

from __future__ import annotations

BUILD = 1
MAP = 2
RESET = 3
STEP = 4
CALL = 5
SET = 6
REPLAY = 7
LOSE = 8
CLOSE = 9

NAMES = {
    BUILD: "build",
    MAP: "map",
    RESET: "reset",
    STEP: "step",
    CALL: "call",
    SET: "set_attr",
    REPLAY: "replay",
    LOSE: "lose",
    CLOSE: "close",
}

# Marks on an answer.
DONE = 0
RECORDS = 1  # there are infos in the records
FAILED = 2  # the command could not be carried out; the payload has the errors

# The words of Gymnasium's AutoresetMode, which older versions lack.
NEXT_STEP = "NextStep"
SAME_STEP = "SameStep"
DISABLED = "Disabled"

# What a factory may not be asked by name: these have commands of their own.
RESERVED = ("reset", "step", "close", "_setattr", "_check_spaces")
