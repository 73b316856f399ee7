"""What a DMARC record asks for, and what is aligned (RFC 9989)."""

import pytest

from relay.message.dmarc import NOTHING, Demand, Record, demand, parse, walk


@pytest.mark.parametrize(
    ("texts", "record"),
    [
        ((), None),
        ((b"v=spf1 -all",), None),
        ((b"v=DMARC1; p=reject",), Record(b"reject", b"reject")),
        ((b"v=spf1 -all", b"v=DMARC1;p=none;sp=quarantine"), Record(b"none", b"quarantine")),
        ((b"v = DMARC1 ; P = Reject ; ADKIM=s; aspf=S",), Record(b"reject", b"reject", True, True)),
        ((b"v=DMARC1; p=reject; adkim=r; psd=y",), Record(b"reject", b"reject", psd=b"y")),
        ((b"v=DMARC1; p=reject", b"v=DMARC1; p=none"), None),
        ((b"v=DMARC10; p=reject",), None),
        ((b"p=reject; v=DMARC1",), None),
        ((b"v=DMARC1",), Record(b"none", b"none")),
        ((b"v=DMARC1; p=reject; p=none",), Record(b"reject", b"reject")),
        ((b"v=DMARC1; rua=mailto:a@x.example!10m; =; ;;",), Record(b"none", b"none")),
    ],
)
def test_records(texts: tuple[bytes, ...], record: Record | None) -> None:
    assert parse(texts) == record


@pytest.mark.parametrize(
    ("domain", "walked"),
    [
        ("com", ["com"]),
        ("contoso.com", ["contoso.com", "com"]),
        ("a.b.contoso.com", ["a.b.contoso.com", "b.contoso.com", "contoso.com", "com"]),
        ("a.b.c.d.e.f.g.h", ["a.b.c.d.e.f.g.h", "b.c.d.e.f.g.h", "c.d.e.f.g.h", "d.e.f.g.h", "e.f.g.h", "f.g.h", "g.h", "h"]),
        ("z.y.x.a.b.c.d.e.f.g", ["z.y.x.a.b.c.d.e.f.g", "a.b.c.d.e.f.g", "b.c.d.e.f.g", "c.d.e.f.g", "d.e.f.g", "e.f.g", "f.g", "g"]),
    ],
)  # fmt: skip
def test_the_walk_goes_up_in_eight_steps_at_most(domain: str, walked: list[str]) -> None:
    assert walk(domain) == walked


REJECT, NONE = Record(b"reject", b"reject"), Record(b"none", b"none")


@pytest.mark.parametrize(
    ("domain", "records", "wanted"),
    [
        ("contoso.com", {}, NOTHING),
        ("contoso.com", {"contoso.com": REJECT}, Demand(True, "contoso.com")),
        ("contoso.com", {"contoso.com": Record(b"quarantine", b"none")}, Demand(True, "contoso.com")),
        ("contoso.com", {"contoso.com": NONE}, Demand(False, "contoso.com")),
        ("a.contoso.com", {"contoso.com": REJECT}, Demand(True, "contoso.com")),
        ("a.contoso.com", {"contoso.com": Record(b"reject", b"none")}, Demand(False, "contoso.com")),
        ("a.contoso.com", {"contoso.com": Record(b"none", b"reject", True)}, Demand(True, "contoso.com", True)),
        # Its own record says, the highest one where the organization begins.
        ("a.contoso.com", {"a.contoso.com": NONE, "contoso.com": REJECT}, Demand(False, "contoso.com")),
        ("a.contoso.com", {"a.contoso.com": Record(b"reject", b"none", psd=b"n"), "contoso.com": NONE}, Demand(True, "a.contoso.com")),
        # A public suffix is nobody's organization.
        ("a.contoso.bank", {"contoso.bank": NONE, "bank": Record(b"reject", b"reject", psd=b"y")}, Demand(False, "contoso.bank")),
        ("contoso.bank", {"bank": Record(b"reject", b"reject", psd=b"y")}, Demand(True, "contoso.bank")),
        ("a.contoso.bank", {"bank": Record(b"none", b"reject", psd=b"y")}, Demand(True, "contoso.bank")),
        ("bank", {"bank": Record(b"reject", b"none", psd=b"y")}, Demand(True, "bank")),
    ],
)  # fmt: skip
def test_what_is_asked(domain: str, records: dict[str, Record], wanted: Demand) -> None:
    assert demand(domain, records) == wanted


@pytest.mark.parametrize(
    ("signing", "sender", "is_met"),
    [
        ("contoso.com", "", True),
        ("", "contoso.com", True),
        ("other.contoso.com", "", True),
        ("", "bounces.contoso.com", True),
        ("a.contoso.com", "", True),
        ("", "", False),
        ("evil.example", "evil.example", False),
        ("notcontoso.com", "contoso.com.evil.example", False),
        ("com", "com", False),
    ],
)
def test_one_of_the_same_organization_is_enough(signing: str, sender: str, is_met: bool) -> None:
    assert Demand(True, "contoso.com").is_met("a.contoso.com", signing, sender) is is_met
    assert NOTHING.is_met("a.contoso.com", signing, sender)


def test_strict_is_the_same_domain_only() -> None:
    strict = Demand(True, "contoso.com", True, True)
    assert strict.is_met("a.contoso.com", "a.contoso.com", "")
    assert strict.is_met("a.contoso.com", "", "a.contoso.com")
    assert not strict.is_met("a.contoso.com", "contoso.com", "contoso.com")
    # Each for itself.
    assert Demand(True, "contoso.com", True, False).is_met("a.contoso.com", "contoso.com", "contoso.com")
    assert not Demand(True, "contoso.com", True, False).is_met("a.contoso.com", "contoso.com", "")
