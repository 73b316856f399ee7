"""The reply catalogue: every reply of Microsoft's servers that we know, as rows.

The tables are cut by who is in trouble. What a reply means to the relay is
`classify`'s to say; what the relay makes of it, its caller's.
"""

from relay.m365.catalogue_auth import ROWS as AUTH
from relay.m365.catalogue_connection import ROWS as CONNECTION
from relay.m365.catalogue_content import ROWS as CONTENT
from relay.m365.catalogue_mailbox import ROWS as MAILBOX
from relay.m365.catalogue_recipient import ROWS as RECIPIENT
from relay.m365.catalogue_route import ROWS as ROUTE
from relay.m365.catalogue_tenant import ROWS as TENANT
from relay.m365.row import Row

ROWS: tuple[Row, ...] = (*CONNECTION, *AUTH, *MAILBOX, *TENANT, *ROUTE, *RECIPIENT, *CONTENT)
