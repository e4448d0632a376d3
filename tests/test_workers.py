"""Worker processes: they have imported what they need before they are given anything to do."""

import subprocess
import sys

CODE = """
from concurrent.futures import ProcessPoolExecutor
from adaptrnn._workers import workers

if __name__ == "__main__":
    context = workers("xml.dom.pulldom")
    with ProcessPoolExecutor(1, context) as pool:
        has = pool.submit(eval, "'xml.dom.pulldom' in __import__('sys').modules").result()
    print(context.get_start_method(), has)
"""


def test_a_worker_has_the_module(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CODE)
    words = [sys.executable, str(script)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout
    # where a worker starts afresh, what it is given to do brings the module
    assert said.split() == (
        ["forkserver", "True"] if sys.platform == "linux" else ["spawn", "False"]
    )
