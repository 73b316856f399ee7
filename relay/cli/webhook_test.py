"""`webhook test`: a signed ping, sent by this command itself, as the relay would send a batch."""

import asyncio
import time
from pathlib import Path

import msgspec

from relay.cli.webhook_named import named, webhooks
from relay.process.exits import Exit
from relay.webhook import body, signature
from relay.webhook.options import WebhookOptions
from relay.webhook.post import HttpPost, Unanswered


def run(path: Path, name: str, *, as_json: bool) -> Exit:
    """Send one; FOUND when it was not taken."""
    told = webhooks(path)
    options = named(told, name)
    begun_at = time.monotonic()
    is_taken, answer = asyncio.run(_ping(told.hostname, options))
    seconds = time.monotonic() - begun_at
    if as_json:
        line = {"name": name, "taken": is_taken, "answer": answer, "seconds": round(seconds, 3)}
        print(msgspec.json.encode(line).decode())
    elif is_taken:
        print(f"{name} took a signed ping: {answer}, after {seconds:.2f} s")
    else:
        print(f"{name} did not take a signed ping: {answer}")
    return Exit.OK if is_taken else Exit.FOUND


async def _ping(relay: str, options: WebhookOptions) -> tuple[bool, str]:
    post, now = HttpPost(options), time.time()
    content = body.ping(relay, options.name, now)
    id = body.id_of(content, "ping")
    try:
        answer = await post(signature.headers(options.secrets, id, int(now), content), content)
    except Unanswered as error:
        return False, str(error)
    finally:
        await post.close()
    return answer.is_taken, str(answer)
