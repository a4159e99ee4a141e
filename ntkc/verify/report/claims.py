"""Rows -> the claims with their proof status, and one sentence for all of them."""

import xml.etree.ElementTree as ET
from collections import Counter

from ntkc.verify.report.html import Child, section, table, tag
from ntkc.verify.verify import Report

MEANINGS = {
    "proven": "by symbolic algebra, for all values of the variables; the detail says what was left to numbers.",
    "bounded": "an approximation, with a bound on its error.",
    "checked": "at random points or samples, to the accuracy in the detail.",
    "simulated": "against random finite networks, by a test with the p-value and the false-alarm rate in the detail.",
    "FAILED": "found to be wrong.",
    "NOT CHECKED": "nothing was done about it; the detail says why.",
}


def claims(report: Report) -> ET.Element:
    """What each status means, and each claim."""
    found = dict.fromkeys(row.status for row in report.rows)
    meanings = [part for s, text in MEANINGS.items() if s in found for part in (tag("dt", badge(s)), tag("dd", text))]
    rows: list[list[Child]] = [[row.claim, badge(row.status), row.detail] for row in report.rows]
    shown = table("Every claim", ("claim", "status", "detail"), rows, class_="claims")
    return section("claims", "Claims", tag("dl", *meanings, class_="meanings"), shown)


def badge(status: str) -> ET.Element:
    """The status as a word; the colour only repeats it."""
    kind = status.lower().replace(" ", "-") if status in MEANINGS else "other"
    return tag("span", status, class_=f"badge {kind}")


def verdict(report: Report) -> ET.Element:
    """The first thing to read."""
    counts = Counter(row.status for row in report.rows)
    broken, open_ = sum(not row.ok for row in report.rows), counts["NOT CHECKED"]
    if broken:
        words, kind = f"{broken} of {len(report.rows)} claims FAILED: do not use these kernels.", "failed"
    elif open_:
        words, kind = f"No claim failed; {open_} of {len(report.rows)} NOT CHECKED.", "not-checked"
    else:
        words, kind = f"All claims hold ({len(report.rows)}), each in the sense of its status.", "proven"
    order = [*MEANINGS, *sorted(set(counts) - set(MEANINGS))]
    tally = (tag("li", badge(status), f" {counts[status]}") for status in order if counts[status])
    return tag("div", tag("p", tag("strong", words)), tag("ul", *tally, class_="tally"), class_=f"verdict {kind}")
