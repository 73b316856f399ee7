"""The `[[route]]` that leads to the simulator, ready for relay.toml."""

from relay.simulator.simulator import Simulator

ROUTE = """\
[[route]]
name = "microsoft365"
host = "{host}"
port = {port}
tls = "required"
ca_file = "{ca_file}"
username = "{username}"
connections = 3
"""
PASSWORD = """\
password_file = "{password_file}"
"""
TOKEN = """
[route.oauth]
tenant = "{tenant}"
client_id = "{client_id}"
client_secret_file = "{secret_file}"
authority = "{authority}"
ca_file = "{ca_file}"
"""


def route_by_password(simulator: Simulator) -> str:
    """Empty when no mailbox has the password that was written to the folder."""
    password = simulator.folder.password
    mailboxes = (each for each in simulator.file.mailbox if each.kind == "mailbox")
    found = next((each for each in mailboxes if each.password == password), None)
    if found is None or "submission" not in simulator.addresses:
        return ""
    return (ROUTE + PASSWORD).format(
        **_places(simulator), username=found.address, password_file=simulator.folder.password_file
    )


def route_by_token(simulator: Simulator) -> str:
    """Empty when no application has the secret that was written to the folder."""
    secret = simulator.folder.secret
    application = next((each for each in simulator.file.application if each.secret == secret), None)
    mailbox = next((each for each in simulator.file.mailbox if each.kind == "mailbox"), None)
    if application is None or mailbox is None or "submission" not in simulator.addresses:
        return ""
    return (ROUTE + TOKEN).format(
        **_places(simulator),
        username=mailbox.address,
        tenant=simulator.file.tenant.id,
        client_id=application.client_id,
        secret_file=simulator.folder.secret_file,
        authority=simulator.addresses["authority"],
    )


def _places(simulator: Simulator) -> dict[str, str]:
    host, _, port = simulator.addresses["submission"].rpartition(":")
    return {"host": host.strip("[]"), "port": port, "ca_file": str(simulator.folder.ca_file)}
