"""The simulator on real sockets: TLS, certificates, time that runs faster, resets, the control."""

import contextlib
import smtplib
import socket
import threading
import time
from pathlib import Path

import pytest

from relay.simulator import texts
from relay.simulator.simulator import Simulator
from tests.simulator.office import INSIDE, ORDERS, OUTSIDE
from tests.simulator.running import ask, client, logged_in, mail, run, trusting


def test_a_mail_is_submitted_over_tls(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        with logged_in(simulator) as smtp:
            smtp.sendmail(ORDERS, [INSIDE, OUTSIDE], mail())

    _, simulator = run(tmp_path, work)
    (kept,) = simulator.ledger.mails
    assert (kept.mailbox, kept.recipients, kept.message_id) == (
        ORDERS,
        (INSIDE, OUTSIDE),
        "<1@client.example>",
    )
    report = simulator.report()
    assert (report.accepted, report.external_recipients, report.sessions) == (1, 1, {"submission": 1})
    assert report.mailboxes[ORDERS].recipients_left == 9_998


@pytest.mark.parametrize("with_certificate", [True, False])
def test_a_connector_knows_its_certificate(tmp_path: Path, with_certificate: bool) -> None:
    def work(simulator: Simulator) -> None:
        context = trusting(simulator)
        if with_certificate:
            folder = simulator.folder
            context.load_cert_chain(folder.client_certificate_file, folder.client_key_file)
        with client(simulator, "mx") as smtp:
            smtp.starttls(context=context)
            smtp.sendmail("anybody@contoso.example", [OUTSIDE], mail())

    if with_certificate:
        _, simulator = run(tmp_path, work)
        assert simulator.ledger.accepted == 1
    else:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            run(tmp_path, work)
        assert b"5.7.64 TenantAttribution" in refusal.value.recipients[OUTSIDE][1]


def test_a_mail_above_the_rate_is_answered_when_the_window_has_room(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> float:
        with logged_in(simulator) as smtp:
            smtp.sendmail(ORDERS, [INSIDE], mail(1))
            smtp.sendmail(ORDERS, [INSIDE], mail(2))
            began = time.monotonic()
            smtp.sendmail(ORDERS, [INSIDE], mail(3))
            return time.monotonic() - began

    waited, simulator = run(tmp_path, work, speed=120.0, limits={"messages": 2})
    first, _, third = simulator.ledger.mails
    assert 60.0 <= third.time - first.time < 90.0
    assert waited < 1.0
    assert simulator.report().violations == {"messages": 1}


def test_a_session_is_cut_by_the_faster_clock(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> tuple[int, bytes]:
        with client(simulator, "mx") as smtp:
            time.sleep(0.3)
            return smtp.getreply()

    (code, _), simulator = run(tmp_path, work, speed=10_000.0, limits={"idle": 0})
    assert code == 421 and simulator.report().violations == {"session": 1}


def test_a_reset_is_a_reset(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        host, _, port = simulator.addresses["mx"].rpartition(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            assert sock.recv(200).startswith(b"220")
            sock.sendall(b"EHLO c\r\n")
            with pytest.raises(ConnectionResetError):
                while True:
                    assert sock.recv(1000)

    run(tmp_path, work, fault=[{"step": "ehlo", "action": "reset"}])


def test_a_reset_over_tls_hides_what_became_of_the_mail(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        smtp = logged_in(simulator)
        with pytest.raises((ConnectionResetError, smtplib.SMTPServerDisconnected)):
            smtp.sendmail(ORDERS, [INSIDE], mail())
        smtp.close()

    _, simulator = run(tmp_path, work, fault=[{"step": "accepted", "action": "reset"}])
    assert simulator.ledger.accepted == 1


def test_a_421_arrives_though_more_was_sent(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> bytes:
        host, _, port = simulator.addresses["mx"].rpartition(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            sock.sendall(b"TURN\r\n" * 20_000)
            said = b""
            while piece := sock.recv(1000):
                said += piece
        return said

    said, _ = run(tmp_path, work)
    assert said.endswith(b"421 4.7.0 Too many errors on this connection, closing transmission channel\r\n")


def test_a_failed_handshake_leaves_nothing_behind(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        for _ in range(3):
            smtp = client(simulator, "mx")
            smtp.ehlo()
            assert smtp.docmd("STARTTLS")[0] == 220
            assert smtp.sock is not None
            smtp.sock.sendall(b"this is no handshake\r\n")
            with contextlib.suppress(ConnectionError):
                while smtp.sock.recv(1000):
                    pass
            smtp.close()

    _, simulator = run(tmp_path, work)
    assert simulator._mx.open == 0
    assert simulator.report().peak_mx_connections <= 3


def test_a_client_that_does_not_read_is_not_read_from(tmp_path: Path) -> None:
    """Replies do not pile up; once it reads, it gets all of them."""

    def work(simulator: Simulator) -> int:
        host, _, port = simulator.addresses["mx"].rpartition(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            sock.setblocking(False)
            sent, block = 0, b"HELP\r\n" * 10_000
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                try:
                    sent += sock.send(block[sent % len(block) :])
                    deadline = time.monotonic() + 0.3
                except BlockingIOError:
                    time.sleep(0.01)
            assert sent < 100_000_000, "it was stopped"
            sock.settimeout(10)
            sock.shutdown(socket.SHUT_WR)
            size = 0
            while piece := sock.recv(1 << 20):
                size += len(piece)
        answered = size // (len(texts.HELP) + 2)
        assert abs(answered - sent // 6) <= 2, "all of them, the banner, and a last one cut short"
        return answered

    answered, _ = run(tmp_path, work)
    assert answered > 1000


def test_more_than_a_buffer_can_follow_while_a_session_waits(tmp_path: Path) -> None:
    """Reading pauses, and everything is answered afterwards."""

    def work(simulator: Simulator) -> bytes:
        with logged_in(simulator) as smtp:
            for number in range(2):
                smtp.sendmail(ORDERS, [INSIDE], mail(number))
            assert smtp.sock is not None
            group = b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n" % (ORDERS.encode(), INSIDE.encode())
            smtp.sock.sendall(group + mail(3) + b".\r\n" + b"NOOP\r\n" * 30_000 + b"QUIT\r\n")
            answered = b""
            while not answered.endswith(b"221 2.0.0 Service closing transmission channel\r\n"):
                piece = smtp.sock.recv(65_536)
                assert piece
                answered += piece
            smtp.close()
            return answered

    answered, _ = run(tmp_path, work, speed=120.0, limits={"messages": 2})
    assert answered.count(b"250 2.0.0 OK\r\n") == 30_000 and answered.count(b"250 2.0.0 OK <3@") == 1


def test_contents_are_written_when_asked(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        with client(simulator, "mx") as smtp:
            smtp.sendmail(OUTSIDE, [INSIDE], mail(7))

    run(tmp_path, work, keep_content=True)
    assert (tmp_path / "000001.eml").read_bytes() == mail(7)


def test_the_folder_keeps_what_clients_were_set_up_with(tmp_path: Path) -> None:
    files = ("ca.pem", "password", "secret", "application.pem")
    kept = []
    for _ in range(2):
        run(tmp_path, lambda simulator: logged_in(simulator).quit())
        kept.append([(tmp_path / name).read_bytes() for name in files])
    assert kept[0] == kept[1]
    assert all((tmp_path / name).stat().st_mode & 0o077 == 0 for name in ("password", "secret", "ca.key"))


# The control


def test_the_control_reports(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> tuple[dict[str, object], dict[str, object]]:
        with client(simulator, "mx") as smtp:
            for number in range(3):
                smtp.sendmail(OUTSIDE, [INSIDE], mail(number))
        return ask(simulator, "/control/report"), ask(simulator, "/control/mails?after=1")

    (report, mails), _ = run(tmp_path, work)
    assert isinstance(report["body"], dict) and report["body"]["accepted"] == 3
    assert isinstance(mails["body"], list) and [each["id"] for each in mails["body"]] == [2, 3]


def test_the_control_sets_and_clears_faults(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> list[int]:
        codes = []
        with client(simulator, "mx") as smtp:
            smtp.ehlo()
            assert ask(simulator, "/control/faults", {"step": "mail", "row": "451 PRX"})["status"] == 200
            codes.append(smtp.mail(OUTSIDE)[0])
            ask(simulator, "/control/faults", method="DELETE")
            codes.append(smtp.mail(OUTSIDE)[0])
        return codes

    codes, _ = run(tmp_path, work)
    assert codes == [451, 250]


def test_the_control_moves_time_and_changes_mailboxes(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> list[bytes]:
        said = []
        with logged_in(simulator) as smtp:
            for path, body in (
                ("mailbox", {"address": ORDERS, "state": "full"}),
                ("mailbox", {"address": ORDERS, "state": "active"}),
            ):
                assert ask(simulator, f"/control/{path}", body)["status"] == 200
                smtp.mail(ORDERS)
                smtp.rcpt(INSIDE)
                said.append(smtp.data(mail())[1])
        before = simulator.pace.now()
        ask(simulator, "/control/advance", {"seconds": 86_400})
        assert simulator.pace.now() >= before + 86_400
        return said

    said, _ = run(tmp_path, work)
    assert b"mailbox full" in said[0] and said[1].startswith(b"2.0.0 OK")


def test_who_waits_goes_on_when_time_is_moved(tmp_path: Path) -> None:
    def work(simulator: Simulator) -> None:
        with logged_in(simulator) as smtp:
            smtp.sendmail(ORDERS, [INSIDE], mail(1))
            timer = threading.Timer(0.3, lambda: ask(simulator, "/control/advance", {"seconds": 60}))
            timer.start()
            smtp.sendmail(ORDERS, [INSIDE], mail(2))
            timer.join()

    _, simulator = run(tmp_path, work, limits={"messages": 1})
    assert simulator.ledger.accepted == 2


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/control/faults", {"step": "mail"}, "give either reply"),
        ("/control/faults", {"stepp": "mail", "action": "stall"}, "did you mean"),
        ("/control/faults", {"step": "mail", "row": "nonsense"}, "no row"),
        ("/control/faults", b"{", "JSON"),
        ("/control/advance", {"seconds": -1}, "only goes forward"),
        ("/control/advance", b"[]", "Expected"),
        ("/control/mailbox", {"address": "nobody@x.example"}, "no such mailbox"),
        ("/control/mailbox", {"address": ORDERS, "state": "gone"}, "must be one of"),
        ("/control/mails?after=-1", None, "from 0"),
    ],
)
def test_what_is_asked_wrongly_is_400_with_a_sentence(
    tmp_path: Path, path: str, body: object, words: str
) -> None:
    answer, _ = run(tmp_path, lambda simulator: ask(simulator, path, body))
    assert answer["status"] == 400 and words in str(answer["body"])


def test_there_is_nothing_else(tmp_path: Path) -> None:
    answer, _ = run(tmp_path, lambda simulator: ask(simulator, "/control/x"))
    assert answer["status"] == 404
