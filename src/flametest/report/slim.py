"""A page in fewer bytes that means the same: what HTML lets its writers leave out is left out.

Only for runs of many scenarios, whose page would outgrow its limit. Texts are escaped before they come here, so no text
can hold what is looked for.
"""

import re

__all__ = ["slim"]

_RULES: tuple[tuple[str, str], ...] = (
    # Tables of a slim page are not stacked on phones, so rows and cells need no roles and no labels of their own, and
    # a heading heads its column or row by where it stands.
    (r' (?:role="(?:cell|row|rowgroup|columnheader|rowheader|table)"|data-label="[^"]*"|scope="(?:col|row)")', ""),
    (r" stacked(?=[ \"])", ""),
    (r"(<td[^>]*>)<span>([^<]*)</span></td>", r"\1\2</td>"),
    # Small icons stand beside their word; the style sheet draws them where they have no shape to share.
    (r'<span class="chip tone-(\w+)"><svg class="icon"[^>]*><use[^>]*></svg> (\w+)</span>', r'<b class="\1">\2</b>'),
    (r'<svg class="icon" width="1[34]"[^>]*><use href="#icon-(\w+)"/></svg>', r'<i class="\1"></i>'),
    (r'</i><span class="hidden">(\w+: )</span>', r"\1</i>"),
    (r'<span class="one">(<i[^<]*</i>)?<span class="value words">([^<]*)</span></span> ', r"\1<em>\2</em> "),
    (r'<span class="one">(<i[^<]*</i>)?<span class="value">([^<]*)</span></span> ', r"\1<b>\2</b> "),
    (r'<span class="limit">([^<]*)</span>', r"<small>\1</small>"),
    (r' font-family="system-ui, sans-serif"', ""),  # which the page has for all of its texts
    # The end of a row, a cell, an item is where the next one begins.
    (r"</(?:td|th|tr|li|dt|dd|thead|tbody|tfoot)>", ""),
    (r"\n\s+", "\n"),
)
_FOUND = tuple((re.compile(pattern), new) for pattern, new in _RULES)
# A value without blanks and signs needs no quotes; before a slash it does, as the slash would become a part of it.
_QUOTED = re.compile(r' ([a-zA-Z-]+)="([\w.#%-]+)"(?=[ >])')
_TAG = re.compile(r"<[a-zA-Z][^<>]*>")


def slim(page: str) -> str:
    """Return a page of `flametest.report` in fewer bytes; its style and script stay as they are."""
    head, body = page.split("</style>", 1)
    body, script = body.rsplit("<script>", 1)
    for pattern, new in _FOUND:
        body = pattern.sub(new, body)
    verdict, contents, details = body.partition('<nav class="contents"')
    body = verdict + contents + details.replace("\N{NO-BREAK SPACE}", " ")  # a byte less; tables keep figures whole
    body = _TAG.sub(lambda tag: _QUOTED.sub(r" \1=\2", tag.group()), body)
    return f"{head}</style>{body}<script>{script}"
