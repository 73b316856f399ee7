"""Turns of processes: one that is killed while it waits or writes costs the others nothing."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from relay.spool.turn import Turn

HOLDER = "import sys, time; from pathlib import Path; from relay.spool.turn import Turn\n"
HOLDER += "with Turn(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"


def holding(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE)


def test_a_turn_is_for_one_thread_of_a_process(tmp_path: Path) -> None:
    turn, inside, most = Turn(tmp_path), [0], [0]

    def work() -> None:
        for _ in range(50):
            with turn:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1]
    turn.close()


def test_the_dead_hand_their_turn_on_whether_they_had_it_or_waited(tmp_path: Path) -> None:
    holder = holding(tmp_path)
    assert holder.stdout is not None and holder.stdout.readline() == b"mine\n"
    waiter, last = holding(tmp_path), holding(tmp_path)
    time.sleep(0.5)
    waiter.kill()
    holder.kill()
    assert last.stdout is not None and last.stdout.readline() == b"mine\n"
    last.kill()
    turn = Turn(tmp_path)
    with turn:
        pass
    turn.close()
    for process in (holder, waiter, last):
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()
