"""`[[dkim]]`: from TOML to policies, or to sentences an administrator can act on."""

import re
from pathlib import Path

import pytest

from relay.config.configuration import Configuration
from relay.config.dkim import first_gap, moment_text
from relay.config.dkim_table import DkimTable, SelectorTable
from relay.config.problem import InvalidConfiguration
from relay.config.read import read
from relay.config.table import Table
from relay.identity.dkim import DomainPolicy, Existing, KeyRing, OnFailure, Selector
from relay.message.dkim.canonical import Canonicalization
from relay.message.dkim.signature import DEFAULT_OVERSIGN
from tests.fakes.clock import FakeClock
from tests.identity.keys import ed25519_key, ed25519_pem, rsa_pem, write_key

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
[[dkim]]
domain = "example.com"
"""
SELECTOR = """
[[dkim.selector]]
name = "s1"
key_file = "rsa.pem"
"""
NOW = FakeClock().now()
"""2027-01-15 08:00 UTC."""


class Folder:
    """A folder with key files and a configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        write_key(path / "rsa.pem", rsa_pem())
        write_key(path / "rsa-1.pem", rsa_pem(number=1))
        write_key(path / "ed.pem", ed25519_pem())

    def read(self, policy: str = "", selectors: str = SELECTOR) -> Configuration:
        file = self.path / "relay.toml"
        file.write_text(LEAST + policy + selectors)
        return read(file, NOW)

    def policy(self, policy: str = "", selectors: str = SELECTOR) -> DomainPolicy:
        (only,) = self.read(policy, selectors).dkim
        return only

    def problem(self, policy: str = "", selectors: str = SELECTOR) -> str:
        with pytest.raises(InvalidConfiguration) as caught:
            self.read(policy, selectors)
        (problem,) = caught.value.problems
        return problem

    def warning(self, policy: str = "", selectors: str = SELECTOR) -> str:
        (warning,) = self.read(policy, selectors).warnings
        return warning


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def selector(name: str, file: str, more: str = "") -> str:
    return f'[[dkim.selector]]\nname = "{name}"\nkey_file = "{file}"\n{more}\n'


def test_without_a_dkim_table_nothing_is_signed(folder: Folder) -> None:
    file = folder.path / "relay.toml"
    file.write_text(LEAST.partition("[[dkim]]")[0])
    assert read(file, NOW).dkim == ()


def test_the_least_table_has_defaults_for_the_rest(folder: Folder) -> None:
    configuration = folder.read()
    (policy,) = configuration.dkim
    assert configuration.warnings == ()
    assert policy.domain == b"example.com"
    assert (policy.header, policy.body) == (Canonicalization.RELAXED, Canonicalization.RELAXED)
    assert (policy.existing, policy.on_failure) == (Existing.SIGN, OnFailure.DEFER)
    assert (policy.subdomains, policy.oversign, policy.identity, policy.lifetime_s) == (
        False,
        DEFAULT_OVERSIGN,
        None,
        None,
    )
    (only,) = policy.selectors
    assert (only.name, only.active_from, only.retire_at) == (b"s1", None, None)
    assert only.key.source == str(folder.path / "rsa.pem")


def test_everything_can_be_said(folder: Folder) -> None:
    policy = folder.policy(
        """
        subdomains = true
        canonicalization = "simple/relaxed"
        oversign = ["From", "Subject"]
        existing = "leave"
        on_failure = "refuse"
        identity = "news@mail.example.com"
        lifetime = "14d"
        """,
        selector("s1", "rsa.pem", "retire_at = 2027-03-01T00:00:00+01:00")
        + selector("s2", "ed.pem", 'active_from = "2027-02-01T00:00:00Z"'),
    )
    assert (policy.header, policy.body) == (Canonicalization.SIMPLE, Canonicalization.RELAXED)
    assert policy.oversign == (b"From", b"Subject")
    assert (policy.existing, policy.on_failure) == (Existing.LEAVE, OnFailure.REFUSE)
    assert (policy.identity, policy.lifetime_s, policy.subdomains) == (
        b"news@mail.example.com",
        1_209_600,
        True,
    )
    assert moment_text(policy.selectors[0].until) == "2027-02-28 23:00 UTC"
    assert moment_text(policy.selectors[1].since) == "2027-02-01 00:00 UTC"


@pytest.mark.parametrize("mode", ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"])
def test_each_canonicalisation_is_header_then_body(folder: Folder, mode: str) -> None:
    policy = folder.policy(f'canonicalization = "{mode}"')
    assert f"{policy.header.name}/{policy.body.name}".lower() == mode


def test_a_rotation_signs_as_the_times_say(folder: Folder) -> None:
    configuration = folder.read(
        selectors=selector("old", "rsa.pem", "retire_at = 2027-02-10T00:00:00Z")
        + selector("new", "rsa-1.pem", "active_from = 2027-02-01T00:00:00Z")
    )
    assert configuration.warnings == ()
    ring, day = KeyRing(configuration.dkim), 86_400
    assert [ring.signers(b"example.com", NOW + days * day)[0].options.selector for days in (0, 16, 17, 40)] == [
        b"old", b"old", b"new", b"new",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('canonicalization = "relaxed"', "dkim[0].canonicalization: must be one of"),
        ('oversign = ["Fr om"]', '"Fr om" is no field name'),
        ('oversign = ["From", "Received"]', "Received is added by each hop"),
        ('oversign = ["From", "DKIM-Signature"]', "is added by each signer"),
        ('identity = "example.com"', 'such as "@example.com"'),
        ('identity = "a b@example.com"', "visible ASCII"),
        ('identity = "@example.org"', 'must be of "example.com" or a subdomain'),
        ('identity = "@notexample.com"', 'must be of "example.com" or a subdomain'),
        ("lifetime = 1", "dkim[0].lifetime: must be at least 60"),
        ('on_failure = "ignore"', 'must be one of "defer", "unsigned" or "refuse"'),
        ('existing = "replace"', 'must be one of "sign" or "leave"'),
        ("canonicalisation = 1", 'did you mean "canonicalization"?'),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_words(folder: Folder, policy: str, words: str) -> None:
    assert words in folder.problem(policy)


@pytest.mark.parametrize(
    ("selectors", "words"),
    [
        ("", "dkim[0].selector: is missing"),
        (selector("s 1", "rsa.pem"), '"s 1" is no DNS label'),
        (selector("-s1", "rsa.pem"), '"-s1" is no DNS label'),
        (selector("s1..a", "rsa.pem"), "nothing between two dots"),
        (selector("s1._domainkey", "rsa.pem"), 'alone, what stands before "._domainkey"'),
        (selector("a" * 64, "rsa.pem"), "is no DNS label"),
        (selector(".".join(["a" * 60] * 4), "rsa.pem"), "more than 253 characters"),
        (selector("s1", "none.pem"), "dkim[0].selector[0].key_file: the key file"),
        (selector("s1", "relay.toml"), "is no PEM file"),
        (selector("s1", "rsa.pem", "active_from = 2027-02-01"), "a time with its zone"),
        (selector("s1", "rsa.pem", "active_from = 2027-02-01T00:00:00"), "a time with its zone"),
        (selector("s1", "rsa.pem", 'active_from = "soon"'), "a time with its zone"),
        (selector("s1", "rsa.pem", "active_from = 7"), "a time with its zone"),
        (
            selector("s1", "rsa.pem", "active_from = 2027-02-01T00:00:00Z\nretire_at = 2027-02-01T00:00:00Z"),
            "retire_at: is not after active_from",
        ),
        (selector("s1", "rsa.pem") + selector("s1", "ed.pem"), '"s1" stands twice'),
        (selector("s1", "rsa.pem") + selector("s2", "rsa-1.pem"), "give the newer one a later active_from"),
        (selector("s1", "rsa.pem", "from = 1"), "dkim[0].selector[0].from: unknown key"),
    ],
)
def test_a_selector_that_cannot_be_is_refused_in_words(folder: Folder, selectors: str, words: str) -> None:
    assert words in folder.problem(selectors=selectors)


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("com", "write a whole domain"),
        ("user@example.com", "without what stands before the @"),
        ("exa mple.com", "is no DNS label"),
        ("*.example.com", '"*" is no DNS label'),
        ("bücher.example", 'the form with "xn--"'),
        (".example.com", "nothing between two dots"),
        ("", "nothing between two dots"),
    ],
)
def test_a_domain_that_cannot_be_is_refused_in_words(folder: Folder, domain: str, words: str) -> None:
    file = folder.path / "relay.toml"
    file.write_text(LEAST.replace('domain = "example.com"', f'domain = "{domain}"') + SELECTOR)
    with pytest.raises(InvalidConfiguration) as caught:
        read(file, NOW)
    assert words in caught.value.problems[0]


def test_a_domain_is_lower_case_without_a_final_dot(folder: Folder) -> None:
    file = folder.path / "relay.toml"
    file.write_text(
        LEAST.replace("example.com", "Example.COM.").replace("relay.Example.COM.", "r.test") + SELECTOR
    )
    assert read(file, NOW).dkim[0].domain == b"example.com"


def test_two_tables_for_one_domain_are_refused(folder: Folder) -> None:
    assert "write its selectors there" in folder.problem(
        selectors=SELECTOR + '[[dkim]]\ndomain = "EXAMPLE.com"\n' + selector("s9", "rsa-1.pem")
    )


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('oversign = ["Subject"]', "without From"),
        ('lifetime = "4d"', "on its way for 5 days"),
        ('on_failure = "unsigned"', "mail leaves unsigned when signing fails"),
    ],
)
def test_what_may_be_and_is_not_wise_is_warned_of(folder: Folder, policy: str, words: str) -> None:
    assert words in folder.warning(policy)


@pytest.mark.parametrize(
    ("selectors", "words"),
    [
        (
            selector("s1", "rsa.pem", "active_from = 2027-02-01T00:00:00Z"),
            "no key of example.com is active before 2027-02-01 00:00 UTC; until then its mail leaves unsigned",
        ),
        (
            selector("s1", "rsa.pem", "retire_at = 2027-01-01T00:00:00Z"),
            "all keys of example.com are retired and its mail is deferred (451) now",
        ),
        (
            selector("s1", "rsa.pem", "retire_at = 2027-02-01T00:00:00Z"),
            "its mail is deferred (451) from 2027-02-01 00:00 UTC on",
        ),
        (
            selector("s1", "rsa.pem", "retire_at = 2027-02-01T00:00:00Z")
            + selector("s2", "rsa-1.pem", "active_from = 2027-02-02T00:00:00Z"),
            "its mail is deferred (451) from 2027-02-01 00:00 UTC on",
        ),
        (
            selector("s1", "rsa.pem") + selector("s2", "rsa.pem", "active_from = 2027-02-02T00:00:00Z"),
            'is the same key as that of "s1"',
        ),
    ],
)
def test_times_that_leave_mail_without_a_key_are_warned_of(
    folder: Folder, selectors: str, words: str
) -> None:
    assert words in folder.warning(selectors=selectors)


def test_a_key_file_that_all_may_read_is_warned_of(folder: Folder) -> None:
    (folder.path / "rsa.pem").chmod(0o644)
    assert folder.warning().startswith("dkim[0].selector[0].key_file: every user")


def test_a_gap_is_found_only_where_no_key_is_active() -> None:
    early = Selector(b"a", ed25519_key(), retire_at=10.0)
    over = Selector(b"b", ed25519_key(1), active_from=5.0, retire_at=20.0)
    assert first_gap(DomainPolicy(b"example.com", (early, over)), 0) == 20
    assert (
        first_gap(DomainPolicy(b"example.com", (early, Selector(b"c", ed25519_key(2), active_from=10.0))), 0)
        is None
    )


@pytest.mark.parametrize(
    ("heading", "table"), [("`[[dkim]]`, one", DkimTable), ("`[[dkim.selector]]`, one", SelectorTable)]
)
def test_every_key_is_documented_and_no_other(heading: str, table: type[Table]) -> None:
    text = (Path(__file__).parents[2] / "docs/dkim.md").read_text()
    section = text.partition(heading)[2].partition("\n\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == table.model_fields.keys()


def test_the_example_in_the_documentation_is_good(folder: Folder) -> None:
    text = (Path(__file__).parents[2] / "docs/dkim.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    files = {
        "/etc/m365-relay/dkim/example.com.s1.pem": "rsa.pem",
        "/etc/m365-relay/dkim/example.com.e1.pem": "ed.pem",
    }
    toml = example[1]
    for name, file in files.items():
        toml = toml.replace(name, file)
    path = folder.path / "relay.toml"
    path.write_text(LEAST.partition("[[dkim]]")[0] + toml)
    configuration = read(path, NOW)
    assert configuration.warnings == ()
    assert len(configuration.dkim[0].active(NOW)) == 2
