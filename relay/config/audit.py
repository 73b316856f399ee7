"""From `[audit]` to the audit log's options."""

from relay.audit.options import AuditOptions
from relay.config import secret
from relay.config.audit_table import AuditTable
from relay.config.findings import Findings
from relay.config.options import given

KEY_BYTES_MIN = 32
"""RFC 2104 section 3: keys of less than the hash's length are strongly discouraged."""


def build_audit(found: Findings, table: AuditTable | None) -> AuditOptions | None:
    """None: nothing is recorded."""
    if table is None:
        return None
    key = b""
    if table.key_file is not None:
        try:
            text, warning = secret.from_file(found.file(table.key_file))
        except ValueError as error:
            found.problem("audit.key_file", str(error))
        else:
            key = text.encode()
            if warning:
                found.warning("audit.key_file", warning)
            if len(key) < KEY_BYTES_MIN:
                found.problem(
                    "audit.key_file",
                    f"has {len(key)} bytes, and {KEY_BYTES_MIN} are the least; make one: openssl rand -hex 32",
                )
    options = AuditOptions(path=found.file(table.path), key=key)
    return given(options, table, skip={"path", "key"})
