"""`dkim new`: a key file, its DNS record both ways, and the TOML to paste."""

import shlex
from pathlib import Path

import msgspec

from relay.cli.dkim_say import domain_of, key_words, quoted, record_text, selector_of, selector_toml
from relay.identity.dkim_new_key import KeyKind, create_key
from relay.message.dkim.record import record_name, zone_text
from relay.process.exits import Exit


def new(domain: str, selector: str, kind: str, out: Path | None, *, as_json: bool) -> Exit:
    """Make the key; nothing is written but its file."""
    domain, selector = domain_of(domain), selector_of(selector)
    path = (out or Path(f"{domain}.{selector}.pem")).absolute()
    key = create_key(path, KeyKind(kind))
    toml = f"[[dkim]]\ndomain = {quoted(domain)}\n\n{selector_toml(selector, path)}"
    name, value = record_name(domain, selector), key.public_record_value()
    if as_json:
        report = {
            "domain": domain, "selector": selector, "algorithm": kind, "key_file": str(path),
            "name": name, "type": "TXT", "value": value, "zone": zone_text(name, value), "toml": toml,
        }  # fmt: skip
        print(msgspec.json.encode(report).decode())
        return Exit.OK
    print(
        f"Wrote {path} ({key_words(key)}; mode 0600). The user the relay runs as must be able to read it.\n\n"
        f"1. Publish it. {record_text(domain, selector, key)}\n"
        f"2. See whether the world sees it:\n\n"
        f"m365-relay dkim check {domain} --selector {selector} --key {shlex.quote(str(path))}\n\n"
        f"3. Then write into the configuration (a domain that has a [[dkim]] gets the selector only), and reload:\n\n"
        f"{toml}",
        end="",
    )
    return Exit.OK
