"""What the kind of a route fills in."""

import pytest

from relay.m365.cloud import CLOUDS, GCC_HIGH, WORLDWIDE, Cloud
from relay.m365.limit import LIMITS, Counted
from relay.m365.preset import PRESETS, HostFrom, Kind, Preset, host_of
from relay.m365.row import Scope
from relay.route.route import TlsMode


def test_every_kind_has_a_preset() -> None:
    assert list(PRESETS) == list(Kind)
    assert [kind.value for kind in Kind] == [
        "submission", "connector", "direct", "high-volume", "acs", "smtp",
    ]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.kind.value)
def test_a_preset_asks_for_verified_tls(preset: Preset) -> None:
    assert TlsMode(preset.tls) is TlsMode.REQUIRED


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.kind.value)
def test_mx_hosts_take_no_login_and_ipv4_only(preset: Preset) -> None:
    is_mx = preset.host_from is HostFrom.MX
    assert (preset.mechanisms == ()) is is_mx
    assert preset.ipv4_only is is_mx
    assert preset.port == (25 if is_mx else 587)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.kind.value)
def test_a_preset_keeps_to_the_published_limits(preset: Preset) -> None:
    limits = [limit for limit in LIMITS if preset.kind in limit.kinds and limit.window_s is None]
    for limit in limits:
        match limit.scope, limit.counted:
            case Scope.MESSAGE, Counted.RECIPIENTS if "of-a-domain" in limit.name:
                assert 0 < preset.recipients_per_domain <= limit.most
            case Scope.MESSAGE, Counted.RECIPIENTS:
                assert 0 < preset.recipients <= limit.most
            case ((Scope.SENDER | Scope.ROUTE), Counted.CONNECTIONS):
                assert preset.connections <= limit.most
    sizes = [limit.most for limit in limits if limit.name.endswith(("message-size", "announced"))]
    assert not sizes or preset.size_bytes <= max(sizes)


def test_a_session_ends_before_microsoft_ends_it() -> None:
    assert all(0 < preset.connection_age_s < 20 * 60 for preset in PRESETS.values())


@pytest.mark.parametrize(
    ("kind", "cloud", "host"),
    [
        (Kind.SUBMISSION, WORLDWIDE, "smtp.office365.com"),
        (Kind.SUBMISSION, GCC_HIGH, "smtp.office365.us"),
        (Kind.HIGH_VOLUME, WORLDWIDE, "smtp.hve.mx.microsoft"),
        (Kind.HIGH_VOLUME, GCC_HIGH, ""),
        (Kind.COMMUNICATION, WORLDWIDE, "smtp.azurecomm.net"),
        (Kind.CONNECTOR, WORLDWIDE, ""),
        (Kind.SMTP, WORLDWIDE, ""),
    ],
)
def test_the_host_comes_from_the_cloud(kind: Kind, cloud: Cloud, host: str) -> None:
    assert host_of(PRESETS[kind], cloud) == host


def test_no_cloud_is_without_submission() -> None:
    assert all(host_of(PRESETS[Kind.SUBMISSION], cloud) for cloud in CLOUDS.values())
