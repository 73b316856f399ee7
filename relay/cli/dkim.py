"""`m365-relay dkim …`: keys, their records, and signatures.

Every command loads what it needs when it runs.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Make, publish, check and rotate DKIM keys; verify and sign mails.", no_args_is_help=True
)

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        show_default="$M365_RELAY_CONFIG, ./relay.toml, /etc/m365-relay/relay.toml",
        help="The configuration file.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of text.")]
Resolver = Annotated[
    str | None,
    typer.Option(
        metavar="ADDR:PORT",
        show_default="those of this machine",
        help="Ask this name server, such as 1.1.1.1:53.",
    ),
]
Mail = Annotated[
    Path, typer.Argument(metavar="FILE", help="A whole mail, such as a saved .eml; - is standard input.")
]
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain of From, such as example.com.")]


class Algorithm(StrEnum):
    """What keys can be made; `relay.identity.dkim_new_key.KeyKind` by its names."""

    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"
    ED25519 = "ed25519"


@app.command()
def new(
    domain: Domain,
    selector: Annotated[str, typer.Option(metavar="NAME", help="The key's name in the DNS, such as s1.")],
    algorithm: Annotated[Algorithm, typer.Option(help="Every verifier knows rsa2048.")] = Algorithm.RSA2048,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default="DOMAIN.SELECTOR.pem", help="The key file to write."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a key; print its DNS record and what to write into the configuration."""
    from relay.cli.dkim_new import new as run

    raise typer.Exit(run(domain, selector, algorithm.value, out, as_json=json))


@app.command()
def check(
    domain: Annotated[
        str | None, typer.Argument(metavar="[DOMAIN]", help="Only this one of the configuration's domains.")
    ] = None,
    config: Config = None,
    selector: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --key: a key that is not in the configuration yet."),
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key file.")] = None,
    resolver: Resolver = None,
    json: Json = False,
) -> None:
    """Compare what is published in the DNS with the keys: 0 all well (warnings too), 1 something is wrong."""
    from relay.cli import dkim_check

    if (selector is None) != (key is None) or (key is not None and domain is None):
        raise typer.BadParameter("DOMAIN, --selector and --key go together")
    if domain is not None and selector is not None and key is not None:
        raise typer.Exit(dkim_check.check_key(domain, selector, key, resolver, as_json=json))
    raise typer.Exit(dkim_check.check_configured(domain, config, resolver, as_json=json))


@app.command()
def rotate(
    domain: Domain,
    config: Config = None,
    selector: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="the old one counted up", help="Name of the new key."),
    ] = None,
    algorithm: Annotated[
        Algorithm | None, typer.Option(show_default="as the old one", help="Kind of the new key.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default="DOMAIN.SELECTOR.pem beside the old one", help="The key file."
        ),
    ] = None,
    wait: Annotated[str, typer.Option(metavar="TIME", help="From now to the switch.")] = "2d",
) -> None:
    """Make the next key, and say step by step: publish, wait, switch, retire. Does not touch the configuration."""
    from relay.cli.dkim_rotate import rotate as run

    raise typer.Exit(run(domain, config, selector, algorithm and algorithm.value, out, wait))


@app.command()
def verify(file: Mail, resolver: Resolver = None, json: Json = False) -> None:
    """Judge each signature of a mail: 0 all hold, 1 one does not or there is none."""
    from relay.cli.dkim_verify import verify as run

    raise typer.Exit(run(file, resolver, as_json=json))


@app.command()
def sign(file: Mail, config: Config = None) -> None:
    """Write the mail to standard output with the signatures the relay would give it now."""
    from relay.cli.dkim_sign import sign as run

    raise typer.Exit(run(file, config))
