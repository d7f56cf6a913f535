"""Answers questions on standard input, one a line, so that a test need not start Python for each.

A question is a JSON array of words, as on the command line. The answer is `true` when it holds, else the
reason, in JSON.
"""

import json
import sys


def answer(check):
    for line in sys.stdin:
        try:
            check(json.loads(line))
            said = True
        except (NameError, ImportError, MemoryError):
            raise
        except SystemExit as end:
            if end.code == 2:  # a question that argparse does not understand
                raise
            said = str(end.code)
        except Exception as error:  # whatever keeps other people's code from accepting it
            said = repr(error)
        print(json.dumps(said), flush=True)


def run(check):
    if sys.argv[1:] == ["lines"]:
        answer(check)
    else:
        check(sys.argv[1:])
