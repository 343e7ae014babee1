"""The words of the generated tables, columns and values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventWords:
    """The words for a kind of event: nouns, the verbs that start and end it, its states, and the
    words for its money."""

    one: str
    many: str
    start: str
    end: str
    states: tuple[str, ...]
    money: tuple[str, ...]


def _event(words: str, states: str, money: str) -> EventWords:
    one, many, start, end = words.split("/")
    return EventWords(one, many, start, end, tuple(states.split()), tuple(money.split("/")))


EVENTS = tuple(
    _event(words, states, money)
    for words, states, money in (
        ("order/orders/placed/delivered", "open packed sent cancelled", "total/amount"),
        ("invoice/invoices/issued/paid", "draft due overdue settled", "amount/total/sum due"),
        ("ticket/tickets/opened/closed", "new waiting solved rejected", "cost/fee"),
        ("request/requests/submitted/answered", "new pending granted refused", "budget/cost"),
        ("booking/bookings/booked/confirmed", "tentative firm cancelled", "price/fee/deposit"),
        ("scholarship/scholarships/awarded/paid out", "proposed active finished", "amount/budget"),
        ("repair/repairs/reported/finished", "waiting running done", "cost/estimate"),
        ("visit/visits/planned/completed", "planned done missed", "fee/travel cost"),
        ("complaint/complaints/filed/resolved", "new open settled dropped", "refund/compensation"),
        ("inspection/inspections/scheduled/completed", "passed failed pending", "fee/cost"),
        ("delivery/deliveries/dispatched/received", "late lost damaged complete", "freight/value"),
        ("task/tasks/created/finished", "todo blocked done", "budget/cost"),
        ("claim/claims/filed/settled", "open accepted denied", "amount/payout"),
        ("contract/contracts/signed/terminated", "active expired suspended", "value/fee"),
        ("shipment/shipments/sent/received", "underway returned lost arrived", "value/freight"),
        ("registration/registrations/received/approved", "pending valid void", "fee/deposit"),
        ("application/applications/received/decided", "new shortlisted declined", "fee/amount"),
        ("donation/donations/pledged/received", "pledged partial complete", "amount/value"),
        ("rental/rentals/started/returned", "active late closed", "price/deposit/rent"),
        ("call/calls/logged/returned", "missed answered forwarded", "cost/charge"),
        ("report/reports/drafted/published", "draft final withdrawn", "budget/cost"),
        ("quote/quotes/drafted/accepted", "draft sent lapsed", "amount/total"),
        ("audit/audits/announced/finished", "planned clean flawed", "cost/fee"),
        ("permit/permits/requested/issued", "pending valid revoked", "fee/charge"),
        ("campaign/campaigns/launched/stopped", "planned live over", "budget/spend"),
        ("incident/incidents/reported/resolved", "minor major critical", "damage/cost"),
        ("licence/licences/granted/revoked", "trial regular blocked", "fee/price"),
        ("refund/refunds/requested/paid", "open approved denied", "amount/value"),
        ("workshop/workshops/announced/held", "planned full cancelled", "fee/budget"),
        ("transfer/transfers/ordered/executed", "queued blocked done", "amount/fee"),
    )
)
LINES = (
    ("item", "items"),
    ("line", "lines"),
    ("position", "positions"),
    ("part", "parts"),
    ("charge", "charges"),
    ("entry", "entries"),
    ("component", "components"),
)
CODES = ("code", "reference", "title", "label")
STATUS = ("status", "state", "stage", "phase", "outcome")
FLAGS = (
    "urgent",
    "prepaid",
    "archived",
    "verified",
    "insured",
    "confidential",
    "recurring",
    "taxable",
    "billable",
    "external",
    "automatic",
    "private",
)
THING_FLAGS = ("active", "verified", "featured", "blocked", "sponsored", "certified")
UNTIDY = (
    ("payment method", ("PayPal", "Visa", "Cash", "Bank Transfer")),
    ("channel", ("Phone", "Web", "Walk-in", "Letter")),
    ("carrier", ("DHL", "UPS", "FedEx", "Hermes")),
    ("language", ("English", "Spanish", "Polish", "Hindi")),
    ("department", ("Sales", "Legal", "Finance", "Research")),
    ("source", ("Google", "Newsletter", "Referral", "Trade Fair")),
    ("device", ("iPhone", "Android", "Laptop", "Kiosk")),
    ("currency", ("EUR", "USD", "GBP", "CHF")),
)
CATEGORIES = (
    ("region", ("North", "South", "East", "West")),
    ("priority", ("low", "normal", "high")),
    ("category", ("standard", "express", "special", "bulk")),
    ("team", ("Red", "Blue", "Green", "Gold")),
    ("shift", ("early", "late", "night")),
    ("size", ("small", "medium", "large")),
    ("branch", ("Lisbon", "Oslo", "Turin", "Ghent", "Leeds")),
    ("tier", ("basic", "plus", "premium")),
    ("origin", ("domestic", "foreign")),
    ("group", ("A1", "A2", "B1", "C1")),
    ("class", ("first", "second", "third")),
)
LINE_KINDS = (
    ("product", ("lamp", "desk", "chair", "shelf", "rug", "mirror", "clock")),
    ("service", ("cleaning", "transport", "storage", "training", "setup")),
    ("material", ("steel", "copper", "glass", "oak", "rubber", "marble")),
    ("cost type", ("labour", "travel", "material", "licence", "postage")),
    ("article", ("cable", "battery", "screen", "keyboard", "adapter", "case")),
)
NOTES = ("note", "comment", "remark", "explanation")
NOTE_TEXTS = (
    "called back twice",
    "see letter",
    "paid in advance",
    "papers are missing",
    "wrong address",
    "asked for a discount",
    "rush job",
    "approved by phone",
    "to be checked",
    "second attempt",
)
CONTACTS = ("e-mail", "phone number", "website", "fax number")
THING_DATES = ("registered", "added", "approved", "inspected", "last updated")
THING_CATEGORIES = (
    ("tier", ("bronze", "silver", "gold")),
    ("zone", ("A", "B", "C")),
    ("rating", ("poor", "fair", "good", "excellent")),
    ("risk", ("low", "medium", "high")),
    ("segment", ("private", "public", "mixed")),
)
# Verbs that people also put "un" before: "still unpaid".
UNDONE = (
    "paid",
    "answered",
    "confirmed",
    "finished",
    "resolved",
    "settled",
    "delivered",
    "published",
    "approved",
    "decided",
)
SKIPPED = {"useracct", "operate company"}  # names of tables that people would not say
# Words in the names of columns of numbers that are not quantities, or have a unit for a name.
ODD_NUMBERS = {
    "billion",
    "million",
    "feet",
    "meters",
    "id",
    "code",
    "year",
    "phone",
    "number",
    "zip",
    "no",
}
# Adjectives for the rows with the largest and the smallest value of a column.
ADJECTIVES = dict.fromkeys(
    ("price", "cost", "fee", "charge", "rent"), ("most expensive", "cheapest")
) | dict.fromkeys(("amount", "total", "sum due", "budget", "value"), ("largest", "smallest"))
# Styles of names, and how often each is drawn.
STYLES = {"snake": 55, "camel": 12, "pascal": 10, "spaced": 16, "upper": 7}


def styled(words: str, style: str) -> str:
    """The column or table called `words`, in one of the ways in which people name things."""
    parts = words.replace("-", "").split()
    if style in ("snake", "upper"):
        name = "_".join(parts)
        return name.upper() if style == "upper" else name
    titles = [part[:1].upper() + part[1:] for part in parts]
    if style == "camel":
        titles[0] = parts[0]
    return (" " if style == "spaced" else "").join(titles)
