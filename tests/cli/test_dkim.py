"""The dkim commands, with key files in a folder and a name server on this machine."""

import json
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.cli.main import main
from relay.identity.dkim_key import load_key
from relay.message.dkim.record import KeyRecord
from tests.fakes.name_server import NameServer
from tests.identity.keys import ed25519_pem, rsa_pem, write_key

LEAST = """
[relay]
hostname = "relay.example.com"
[spool]
path = "spool"
[[listener]]
address = "127.0.0.1:2525"
[[route]]
name = "smarthost"
host = "smtp.example.net"
"""
POLICY = """
[[dkim]]
domain = "example.com"
[[dkim.selector]]
name = "s1"
key_file = "rsa.pem"
"""
MAIL = b"From: Ann <ann@example.com>\r\nTo: b@example.net\r\nSubject: Hello\r\n\r\nOne line.\r\n"


class Shell:
    """Runs commands in a folder with a configuration."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[bytes],
        names: NameServer,
    ) -> None:
        self.folder = folder
        self.names = names
        self._monkeypatch = monkeypatch
        self._capture = capture
        self.errors = ""
        monkeypatch.chdir(folder)
        monkeypatch.delenv("M365_RELAY_CONFIG", raising=False)
        write_key(folder / "rsa.pem", rsa_pem())
        write_key(folder / "ed.pem", ed25519_pem())
        self.configure(POLICY)

    def configure(self, policy: str) -> None:
        (self.folder / "relay.toml").write_text(LEAST + policy)

    def publish(self, selector: str, key: str) -> None:
        self.names.publish(
            f"{selector}._domainkey.example.com", load_key(self.folder / key).public_record_value()
        )

    def raw(self, *arguments: str, status: int = 0) -> bytes:
        """Standard output of `m365-relay dkim …`."""
        return self.relay("dkim", *arguments, status=status)

    def relay(self, *arguments: str, status: int = 0) -> bytes:
        """Standard output of `m365-relay …`."""
        self._monkeypatch.setattr(sys, "argv", ["m365-relay", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        output, errors = self._capture.readouterr()
        self.errors = errors.decode()
        assert caught.value.code == status, output.decode() + self.errors
        return output

    def run(self, *arguments: str, status: int = 0) -> str:
        return self.raw(*arguments, status=status).decode()

    def asking(self, *arguments: str, status: int = 0) -> str:
        return self.run(*arguments, "--resolver", self.names.option, status=status)


@pytest.fixture(scope="module")
def name_server() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture
def shell(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
    name_server: NameServer,
) -> Shell:
    name_server.texts.clear()
    name_server.aliases.clear()
    return Shell(tmp_path, monkeypatch, capsysbinary, name_server)


@pytest.mark.parametrize(("algorithm", "kind"), [("rsa2048", "rsa"), ("ed25519", "ed25519")])
def test_a_new_key_is_written_and_its_record_printed_both_ways(
    shell: Shell, algorithm: str, kind: str
) -> None:
    output = shell.run("new", "Example.ORG", "--selector", "mail", "--algorithm", algorithm)
    key = load_key(shell.folder / "example.org.mail.pem")
    assert key.key_type == kind
    assert key.warnings == ()
    assert key.public_record_value() in output.splitlines()
    zone = output.partition("For a zone file:\n\n")[2].partition("\n\n")[0]
    assert zone.startswith("mail._domainkey.example.org. 3600 IN TXT ")
    assert "".join(zone.split('"')[1::2]) == key.public_record_value()


def test_the_printed_toml_is_taken_by_check_config_as_it_is(shell: Shell) -> None:
    output = shell.run("new", "example.org", "--selector", "mail", "--algorithm", "ed25519")
    toml = output[output.index("[[dkim]]\ndomain") :]
    shell.configure(toml)
    shell.publish("mail", "example.org.mail.pem")
    shell.names.texts["mail._domainkey.example.org"] = shell.names.texts.pop("mail._domainkey.example.com")
    assert shell.asking("check") == "✓ mail._domainkey.example.org  (signs now)\n"


def test_a_file_name_with_quotes_survives_in_toml(shell: Shell) -> None:
    report = json.loads(
        shell.run(
            "new", "example.org", "--selector", "m", "--algorithm", "ed25519", "--out", 'a"b\\ü.pem', "--json"
        )
    )
    table = tomllib.loads(report["toml"])
    assert Path(table["dkim"][0]["selector"][0]["key_file"]) == shell.folder / 'a"b\\ü.pem'
    assert KeyRecord.parse(report["value"].encode()).key_type == "ed25519"


def test_a_key_file_that_exists_is_never_overwritten(shell: Shell) -> None:
    shell.run("new", "example.org", "--selector", "s1", "--out", "rsa.pem", status=78)
    assert "left as it is" in shell.errors
    assert (shell.folder / "rsa.pem").read_bytes() == rsa_pem()


@pytest.mark.parametrize(
    "arguments",
    [("new", "com", "--selector", "s1"), ("new", "example.org", "--selector", "a b"), ("new", "example.org")],
)
def test_what_is_no_domain_or_selector_is_wrong_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.run(*arguments, status=64)
    assert sorted(path.name for path in shell.folder.iterdir()) == ["ed.pem", "relay.toml", "rsa.pem"]


def test_check_says_that_all_is_well(shell: Shell) -> None:
    shell.publish("s1", "rsa.pem")
    assert shell.asking("check") == "✓ s1._domainkey.example.com  (signs now)\n"
    assert shell.asking("check", "EXAMPLE.com").startswith("✓")


def test_check_says_what_is_wrong_and_ends_with_1(shell: Shell) -> None:
    assert "missing: there is no TXT record" in shell.asking("check", status=1)
    shell.publish("s1", "ed.pem")
    output = shell.asking("check", status=1)
    assert output.startswith("✗ s1._domainkey.example.com  (signs now)\n    ✗ other key")
    report = json.loads(shell.asking("check", "--json", status=1))
    assert report["good"] is False
    assert report["selectors"][0]["findings"][0]["level"] == "error"


def test_check_looks_at_coming_and_at_retired_keys(shell: Shell) -> None:
    shell.configure(
        POLICY
        + '[[dkim.selector]]\nname = "s2"\nkey_file = "ed.pem"\nactive_from = 2100-01-01T00:00:00Z\n'
        + '[[dkim.selector]]\nname = "s0"\nkey_file = "ed.pem"\nretire_at = 2020-01-01T00:00:00Z\n'
    )
    shell.publish("s1", "rsa.pem")
    shell.publish("s0", "ed.pem")
    output = shell.asking("check", status=1)
    assert "✗ s2._domainkey.example.com  (signs from 2100-01-01 00:00 UTC)\n    ✗ missing" in output
    assert "✓ s0._domainkey.example.com  (retired since 2020-01-01 00:00 UTC)\n    ! is retired" in output


def test_a_key_can_be_checked_before_it_is_configured(shell: Shell) -> None:
    shell.configure("")
    shell.publish("s7", "ed.pem")
    assert "(not configured)" in shell.asking("check", "example.com", "--selector", "s7", "--key", "ed.pem")
    shell.asking("check", "example.com", "--selector", "s7", status=64)


def test_check_without_anything_to_check_says_so(shell: Shell) -> None:
    shell.asking("check", "example.org", status=78)
    assert "no [[dkim]] table for example.org" in shell.errors


def test_a_name_server_that_is_broken_is_no_missing_key(shell: Shell) -> None:
    shell.names.is_broken = True
    try:
        shell.asking("check", status=69)
    finally:
        shell.names.is_broken = False
    assert "no name server gives an answer" in shell.errors


def test_a_resolver_must_be_an_address_with_a_port(shell: Shell) -> None:
    shell.run("check", "--resolver", "dns.example.net", status=64)


def test_a_rotation_is_pasted_and_switches_by_itself(shell: Shell) -> None:
    before = (shell.folder / "relay.toml").read_text()
    output = shell.run("rotate", "example.com")
    assert (shell.folder / "relay.toml").read_text() == before
    key = load_key(shell.folder / "example.com.s2.pem")
    assert (key.key_type, key.bits) == ("rsa", 2048)
    assert key.public_record_value() in output
    selector = output[output.index("[[dkim.selector]]") :].partition("\n\n")[0]
    retire = next(line for line in output.splitlines() if line.startswith("retire_at"))
    shell.configure(POLICY + retire + "\n" + selector + "\n")
    shell.publish("s1", "rsa.pem")
    shell.publish("s2", "example.com.s2.pem")
    states = [line.split("  ")[1] for line in shell.asking("check").splitlines()]
    assert states[0] == "(signs now)"
    assert states[1].startswith("(signs from ")
    tables = tomllib.loads((shell.folder / "relay.toml").read_text())["dkim"][0]["selector"]
    switch, retired = tables[1]["active_from"].timestamp(), tables[0]["retire_at"].timestamp()
    assert 2 * 86_400 <= switch - time.time() <= 2 * 86_400 + 3600
    assert retired - switch == 7 * 86_400
    shell.run("rotate", "example.com", status=78)
    assert "a rotation is under way: s2 follows s1" in shell.errors


def test_a_rotation_may_choose_name_kind_file_and_wait(shell: Shell) -> None:
    output = shell.run(
        "rotate",
        "example.com",
        "--selector",
        "new",
        "--algorithm",
        "rsa3072",
        "--out",
        "n.pem",
        "--wait",
        "1h",
    )
    assert load_key(shell.folder / "n.pem").bits == 3072
    assert 'name = "new"' in output


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("example.org",), 78, "no [[dkim]] table for example.org"),
        (("example.com", "--selector", "s1"), 78, "has a selector s1 already"),
        (("example.com", "--algorithm", "ed25519"), 78, "has no ed25519 key that signs now"),
        (("example.com", "--wait", "soon"), 64, "write seconds"),
        (("example.com", "--out", "rsa.pem"), 78, "left as it is"),
    ],
)
def test_a_rotation_that_cannot_be_says_why(
    shell: Shell, arguments: tuple[str, ...], status: int, words: str
) -> None:
    shell.run("rotate", *arguments, status=status)
    assert words in " ".join(shell.errors.replace("│", " ").split())


def test_signed_mail_verifies_for_both_algorithms(shell: Shell) -> None:
    shell.configure(POLICY + '[[dkim.selector]]\nname = "e1"\nkey_file = "ed.pem"\n')
    shell.publish("s1", "rsa.pem")
    shell.publish("e1", "ed.pem")
    (shell.folder / "mail.eml").write_bytes(MAIL)
    signed = shell.raw("sign", "mail.eml")
    assert signed.endswith(MAIL)
    assert signed.count(b"DKIM-Signature:") == 2
    (shell.folder / "signed.eml").write_bytes(signed)
    output = shell.asking("verify", "signed.eml")
    assert output.count("✓ pass: the signature holds") == 2
    assert "domain example.com, selector s1, rsa-sha256" in output
    assert "domain example.com, selector e1, ed25519-sha256" in output
    report = json.loads(shell.asking("verify", "signed.eml", "--json"))
    assert [each["result"] for each in report["signatures"]] == ["pass", "pass"]


@pytest.mark.parametrize("mode", ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
@pytest.mark.parametrize(
    "body", [b"", b"\n", b"a \t b  \n\n\n", "grüß\n".encode(), b"no end", b"x" * 5000 + b"\n"]
)
def test_every_canonicalisation_of_nasty_bodies_verifies(shell: Shell, mode: str, body: bytes) -> None:
    shell.configure(POLICY.replace("[[dkim.sel", f'canonicalization = "{mode}"\n[[dkim.sel'))
    shell.publish("s1", "rsa.pem")
    head = b"from:  a@example.com  \nSubject:\n  folded\n\tline \nSubject: two\n\n"
    (shell.folder / "mail.eml").write_bytes(head + body)
    (shell.folder / "signed.eml").write_bytes(shell.raw("sign", "mail.eml"))
    shell.asking("verify", "signed.eml")


@pytest.mark.parametrize(
    "mail", [b"From: a@example.com\n", b"From: a@example.com", b"From: a@example.com\nno field\n"]
)
def test_a_mail_whose_header_has_no_end_verifies(shell: Shell, mail: bytes) -> None:
    shell.publish("s1", "rsa.pem")
    (shell.folder / "mail.eml").write_bytes(mail)
    (shell.folder / "signed.eml").write_bytes(shell.raw("sign", "mail.eml"))
    shell.asking("verify", "signed.eml")


def test_a_changed_mail_fails_with_its_reason(shell: Shell) -> None:
    shell.publish("s1", "rsa.pem")
    (shell.folder / "mail.eml").write_bytes(MAIL)
    signed = shell.raw("sign", "mail.eml")
    (shell.folder / "body.eml").write_bytes(signed + b"more\r\n")
    assert "✗ fail: the body was changed" in shell.asking("verify", "body.eml", status=1)
    (shell.folder / "head.eml").write_bytes(b"Subject: Another\r\n" + signed)
    assert "✗ fail: signed header fields" in shell.asking("verify", "head.eml", status=1)


def test_a_mail_without_a_signature_ends_with_1(shell: Shell) -> None:
    (shell.folder / "mail.eml").write_bytes(MAIL)
    assert "bears no DKIM-Signature" in shell.asking("verify", "mail.eml", status=1)
    shell.asking("verify", "none.eml", status=74)


def test_what_a_mail_says_does_not_steer_the_terminal(shell: Shell) -> None:
    field = b"DKIM-Signature: v=1; a=\x1b[2J; d=a\xc2\x9b.example; s=\x07\r\n"
    (shell.folder / "mail.eml").write_bytes(field + MAIL)
    output = shell.asking("verify", "mail.eml", status=1)
    assert "\x1b" not in output + shell.asking("verify", "mail.eml", "--json", status=1)
    assert "�" in output
    assert all(each.isprintable() or each == "\n" for each in output)


def test_what_nobody_signs_comes_out_as_it_was(shell: Shell) -> None:
    other = MAIL.replace(b"@example.com", b"@example.org")
    (shell.folder / "mail.eml").write_bytes(other)
    assert shell.raw("sign", "mail.eml", status=1) == other
    assert "signs for example.org now" in shell.errors
    (shell.folder / "mail.eml").write_bytes(b"Subject: no author\r\n\r\n")
    shell.raw("sign", "mail.eml", status=78)
    assert "no From with one domain" in shell.errors


def test_a_signed_mail_is_left_alone_when_the_domain_says_so(shell: Shell) -> None:
    (shell.folder / "mail.eml").write_bytes(MAIL)
    signed = shell.raw("sign", "mail.eml")
    (shell.folder / "signed.eml").write_bytes(signed)
    assert shell.raw("sign", "signed.eml").count(b"DKIM-Signature:") == 2
    shell.configure(POLICY.replace("[[dkim.sel", 'existing = "leave"\n[[dkim.sel'))
    assert shell.raw("sign", "signed.eml", status=1) == signed
    assert "left as it is" in shell.errors


def test_retired_keys_do_not_sign_and_say_so(shell: Shell) -> None:
    shell.configure(POLICY + "retire_at = 2020-01-01T00:00:00Z\n")
    (shell.folder / "mail.eml").write_bytes(MAIL)
    shell.raw("sign", "mail.eml", status=69)
    assert "no DKIM key of example.com is active" in shell.errors


def test_check_config_shows_which_key_signs_what_and_when(shell: Shell) -> None:
    shell.configure(
        POLICY.replace("[[dkim.sel", 'identity = "@example.com"\nlifetime = "14d"\n[[dkim.sel')
        + "retire_at = 2100-02-01T00:00:00Z\n"
        + '[[dkim.selector]]\nname = "s2"\nkey_file = "ed.pem"\nactive_from = 2100-01-01T00:00:00Z\n'
    )
    rows = json.loads(shell.relay("check-config", "--json"))["in_force"]
    assert rows["dkim[0].domain"] == "example.com"
    assert rows["dkim[0].canonicalization"] == "relaxed/relaxed"
    assert rows["dkim[0].on_failure"] == "defer"
    assert (rows["dkim[0].identity"], rows["dkim[0].lifetime"]) == ("@example.com", "14d")
    folder = shell.folder
    assert rows["dkim[0].selector[0]"] == (
        f"s1: signs now, retires 2100-02-01 00:00 UTC; RSA, 2048 bits; {folder}/rsa.pem"
    )
    assert rows["dkim[0].selector[1]"] == f"s2: signs from 2100-01-01 00:00 UTC; Ed25519; {folder}/ed.pem"
    assert "PRIVATE" not in json.dumps(rows)
