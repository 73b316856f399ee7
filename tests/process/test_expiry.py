"""The whole relay says when its certificates end: in the log, and as a metric for an alert."""

import urllib.request
from pathlib import Path

from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.certificate import Authority
from tests.process.relay import configuration, running, wait_until

METRIC = "m365_relay_credential_expiry_timestamp_seconds"


def ends(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=10) as response:
        families = text_string_to_metric_families(response.read().decode())
        return {
            sample.labels["credential"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == METRIC
        }


def end_of(certificate: Path) -> float:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()


def test_certificates_of_listeners_and_routes_are_watched(tmp_path: Path) -> None:
    (tmp_path / "authority").mkdir()
    authority = Authority(tmp_path / "authority")
    chain, key = authority.issue("relay.example.com", days=5)
    client, client_key = authority.issue("client.example.com", days=200)
    text = configuration(
        listener=f'tls = "starttls"\ncertificate = "{chain}"\nkey = "{key}"',
        route=f'client_certificate = "{client}"\nclient_key = "{client_key}"',
    ).replace('tls = "none"', "")
    with running(tmp_path, text) as relay:
        url = relay.console
        wait_until(lambda: len(ends(url)) == 2)
        assert ends(url) == {
            "certificate of the listener 127.0.0.1:0": end_of(chain),
            "certificate of the route smarthost": end_of(client),
        }
        (told,) = relay.events("credential_expiring")
        assert (told["credential"], told["level"]) == ("certificate of the listener 127.0.0.1:0", "warning")
        assert relay.stop() == 0
