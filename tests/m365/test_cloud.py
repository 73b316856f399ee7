"""Microsoft's clouds, and which hosts are whose."""

import pytest

from relay.m365.cloud import CHINA, CLOUDS, GCC_HIGH, WORLDWIDE, Cloud, is_mx_host


def test_clouds_have_their_names() -> None:
    assert list(CLOUDS) == ["worldwide", "gcc-high", "dod", "21vianet"]


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=lambda cloud: cloud.name)
def test_every_cloud_has_what_a_submission_needs(cloud: Cloud) -> None:
    for host in (cloud.submission_host, cloud.authority, cloud.graph_host, *cloud.mx_suffixes):
        assert host == host.strip("./").lower() and "." in host and "/" not in host
    assert cloud.token_resource.startswith("https://") and not cloud.token_resource.endswith("/")


@pytest.mark.parametrize(
    ("host", "cloud", "is_mx"),
    [
        ("contoso-com.mail.protection.outlook.com", WORLDWIDE, True),
        ("Contoso-Com.Mail.Protection.Outlook.Com.", WORLDWIDE, True),
        ("contoso-com.n-v1.mx.microsoft", WORLDWIDE, True),
        ("mail.protection.outlook.com", WORLDWIDE, False),
        ("evilmx.microsoft", WORLDWIDE, False),
        ("mail.protection.outlook.com.example.org", WORLDWIDE, False),
        ("contoso-us.mail.protection.office365.us", GCC_HIGH, True),
        ("contoso-us.mail.protection.office365.us", WORLDWIDE, False),
        ("contoso-cn.mail.protection.partner.outlook.cn", CHINA, True),
    ],
)
def test_mx_hosts_are_recognised(host: str, cloud: Cloud, is_mx: bool) -> None:
    assert is_mx_host(host, cloud) is is_mx
