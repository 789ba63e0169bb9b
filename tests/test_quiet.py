"""What native code writes is turned aside, in any thread, and turned back."""

import os
import subprocess
import sys
import threading

from clone import ROOT

from pipeline.quiet import quiet_native_output


def test_the_last_thread_to_leave_turns_the_streams_back(capfd) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet_native_output():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with quiet_native_output():
        thread.start()
        inside.wait(10)
        os.write(1, b"both")
    os.write(1, b"one")
    leave.set()
    thread.join()
    os.write(1, b"none")
    assert capfd.readouterr().out == "none"


def test_it_works_without_standard_streams() -> None:
    script = (
        "import os, sys\nfrom pipeline.quiet import quiet_native_output\n"
        "os.close(1)\nsys.stdout = None\n"
        "with quiet_native_output():\n    os.write(2, b'aside')\n"
        "os.write(2, b'back')\n"
        "sys.stderr = None\nwith quiet_native_output():\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "back"
