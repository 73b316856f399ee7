"""The report as one HTML file: no script, nothing fetched, every stranger's word escaped.

Charts are inline SVG. It is made to be mailed and printed; light and dark follow the reader.
"""

from collections.abc import Sequence
from html import escape

from relay.cli.moment import local
from relay.cli.report_show import HOURS_MAX, by_day
from relay.cli.trace_show import printable
from relay.trace.history.flow import Count, Flow, Hour, Refusal

WIDTH = 960
HEIGHT = 180
STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --dim: #667085; --line: #d8dde6; --paper: #fff;
  --accepted: #9db4d8; --delivered: #2f7d4f; --trouble: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #344054; --paper: #14181f;
  --accepted: #46608c; --delivered: #4cb37a; --trouble: #f08a5d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 960px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p.time { color: var(--dim); margin: .2rem 0 1rem }
dl.sums { display: flex; flex-wrap: wrap; gap: 2.5rem; margin: 1rem 0 } dl.sums div { display: flex; flex-direction: column-reverse }
dl.sums dt { color: var(--dim) } dl.sums dd { font-size: 1.6rem; margin: 0; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; width: 4rem } td.bar { width: 34% }
td.bar span { display: block; height: .9rem; margin-top: .25rem; background: var(--accepted); min-width: 1px }
.meaning { color: var(--dim) } svg { width: 100%; height: auto } svg text { fill: var(--dim); font-size: 11px }
.a { fill: var(--accepted) } .d { fill: var(--delivered) } .t { fill: var(--trouble) }
.key span { display: inline-block; margin-right: 1.2rem } .key i { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 0 2.5rem }
"""


def page(found: Flow, now: float) -> str:
    """The whole document."""
    title = f"Mail flow, {local(found.since)[:16]} to {local(found.until)[:16]}"
    times = by_day(found.hours) if len(found.hours) > HOURS_MAX else found.hours
    stands = {count.name: count.mails for count in found.outcomes}
    sums = [
        ("mails accepted", found.mails),
        *((f"recipients {word}", number) for word, number in stands.items()),
    ]
    body = [
        f"<h1>Mail flow</h1><p class=time>{local(found.since)} to {local(found.until)}, written {local(now)}</p>",
        "<dl class=sums>",
        *(f"<div><dt>{_safe(name)}</dt><dd>{number:,}</dd></div>" for name, number in sums),
        f"<div><dt>accepted</dt><dd>{found.size / 1e6:,.1f} MB</dd></div></dl>",
        f"<h2>By {'day' if times is not found.hours else 'hour'}</h2>",
        _chart(times),
        "<div class=columns>",
        _counts("Delivered recipients by route", found.routes),
        _counts("Mails by sender", found.senders),
        _counts("Mails by campaign", found.campaigns),
        "</div>",
        _refusals(found.refusals),
    ]
    # default-src 'none': should a stranger's word get past the escaping after all, it can do nothing.
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{STYLE}</style></head>\n<body>{''.join(body)}</body></html>"
    )


def _chart(times: Sequence[Hour]) -> str:
    """Accepted, delivered and troubled, side by side for each hour or day."""
    most = max((max(each.accepted, each.delivered) for each in times), default=0) or 1
    step = WIDTH / max(len(times), 1)
    bars = []
    for i, each in enumerate(times):
        trouble = each.deferred + each.held + each.failed
        label = (
            f"{local(each.at)[:16]}: {each.accepted:,} accepted, {each.delivered:,} delivered, "
            f"{each.deferred:,} deferred, {each.held:,} held, {each.failed:,} failed"
        )
        rectangles = "".join(
            _rectangle(style, step * (i + 0.1 + 0.28 * place), step * 0.26, min(value / most, 1.0))
            for place, (style, value) in enumerate(
                (("a", each.accepted), ("d", each.delivered), ("t", trouble))
            )
        )
        bars.append(f"<g><title>{_safe(label)}</title>{rectangles}</g>")
    every = max(1, len(times) // 8)
    labels = [
        f'<text x="{step * i + 2:.1f}" y="{HEIGHT + 14}">{local(each.at)[5:16]}</text>'
        for i, each in enumerate(times)
        if i % every == 0 and step * i < WIDTH - 60
    ]
    key = "".join(
        f'<span><i style="background:var(--{name})"></i>{word}</span>'
        for name, word in (
            ("accepted", "accepted"),
            ("delivered", "delivered"),
            ("trouble", "deferred, held, failed"),
        )
    )
    return (
        f'<p class=key>{key}</p><svg viewBox="0 0 {WIDTH} {HEIGHT + 20}" role="img">'
        f'<text x="2" y="10">{most:,}</text>{"".join(bars)}{"".join(labels)}</svg>'
    )


def _rectangle(style: str, x: float, width: float, share: float) -> str:
    height = share * (HEIGHT - 16)
    return f'<rect class="{style}" x="{x:.1f}" y="{HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _counts(title: str, counts: Sequence[Count]) -> str:
    if not counts:
        return ""
    most = max(count.mails for count in counts)
    rows = "".join(
        f"<tr><td>{_safe(count.name) or '(none)'}</td><td class=n>{count.mails:,}</td>"
        f'<td class=bar><span style="width:{count.mails / most * 100:.1f}%"></span></td></tr>'
        for count in counts
    )
    return f"<section><h2>{_safe(title)}</h2><table>{rows}</table></section>"


def _refusals(refusals: Sequence[Refusal]) -> str:
    if not refusals:
        return ""
    rows = "".join(
        f"<tr><td class=n>{each.times:,}</td><td class=n>{each.recipients:,}</td><td>{_safe(each.reply)}"
        f"<div class=meaning>{_safe(f'{each.meaning} {each.advice}'.strip())}</div></td></tr>"
        for each in refusals
    )
    return (
        "<h2>Why mail was put off or held</h2><table><tr><th class=n>times</th><th class=n>recipients</th>"
        f"<th>reply, what it means, what to do</th></tr>{rows}</table>"
    )


def _safe(text: str) -> str:
    return escape(printable(text))
