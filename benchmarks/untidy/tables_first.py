"""The files of the first half (odd seeds), one function each."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random

from benchmarks.untidy import forms as f
from benchmarks.untidy.files import (
    TODAY,
    Column,
    File,
    Row,
    after,
    between,
    days,
    given,
    in_order,
    missing,
    number,
    one_of,
    people,
    real,
    skewed,
    some_of,
    spelled,
    table,
    text,
    whole,
    words,
)

_FIRST = "Anna Ben Chloe Dario Edith Farid Grace Hanne Ivan Julia Karim Lena Marco Nadia Otto Pia"
_LAST = "Abel Brandt Costa Dreyer Evans Fischer Gruber Hoffman Ivers Jansen Keller Lopez Moreau"


def claims(dice: Random) -> File:
    """Expense claims out of a spreadsheet: every column is TEXT."""
    staff = people(dice, _FIRST, _LAST, 45)
    gone = ("N/A", "")
    countries = {
        "Germany": ("Germany", "Germany", "DE", "germany", "Germany "),
        "France": ("France", "France", "FR", "france"),
        "Netherlands": ("Netherlands", "NL", "The Netherlands", "netherlands "),
        "Spain": ("Spain", "Spain", "ES", "spain"),
    }
    sorts = {
        "Sales": ("Sales", "Sales", "sales", "SALES "),
        "Research": ("Research", "Research", "research", "RESEARCH"),
        "Support": ("Support", "support", "Support "),
        "Logistics": ("Logistics", "logistics", "Logistics "),
    }
    states = {
        "approved": ("approved", "Approved", "Approved", "APPROVED"),
        "pending": ("pending", "Pending", "Pending "),
        "rejected": ("rejected", "Rejected", "rejected "),
    }

    def paid(dice: Random, row: Row):
        return after("Submitted", 3, 60, TODAY)(dice, row) if row["Status"] == "approved" else None

    return File(
        "claims",
        "csv",
        [
            table(
                dice,
                "claims",
                1100,
                Claim__No=text(lambda dice, row: f"C-{10200 + row['n']}"),
                Employee=text(some_of(staff)),
                Department=spelled(sorts),
                Country=spelled(countries),
                Category=text(some_of(["Travel", "Hotel", "Meals", "Training", "Software"])),
                Submitted=Column(days("2024-01-01"), f.DMY_LOOSE),
                Amount=Column(missing(0.03, skewed(310, 2, 1.1)), f.DOLLARS, gone),
                VAT=Column(missing(0.05, one_of([0, 5, 7, 9, 10, 19, 20, 21])), f.PERCENT, gone),
                Status=spelled(states),
                Approver=text(missing(0.2, some_of(staff[:9])), ("N/A", "", "-", None)),
                Paid=Column(paid, f.DMY_LOOSE, gone),
            ),
            table(
                dice,
                "budgets",
                [{"Dept": d, "Year": y} for d in sorts for y in (2024, 2025, 2026)],
                Dept=given(),
                Year=given(f.NUMBER_TEXT),
                Budget=Column(between(20_000, 90_000), f.WHOLE_DOLLARS),
            ),
        ],
    )


def auction(dice: Random) -> File:
    """Lots of an auction house, typed in Germany: decimal commas, dotted dates, all TEXT."""
    sellers = people(dice, _FIRST, _LAST, 60)
    rooms = {
        "Vienna": ("Vienna", "Wien", "vienna", "Vienna "),
        "Munich": ("Munich", "München", "munich"),
        "Zurich": ("Zurich", "Zürich", "ZURICH", "zurich "),
    }
    makes = words("Clock Vase Chair Painting Ring Carpet Lamp Medal Mirror Violin")
    looks = words("Baroque Walnut Silver Blue Gilded Small Carved Bohemian Art-Deco Persian")
    gone = ("", "k.A.")

    def hammer(dice: Random, row: Row):
        if dice.random() < 0.22:
            return None  # nobody bid
        return round(row["estimate"] * dice.lognormvariate(0.05, 0.5), 2)

    return File(
        "auction",
        "csv-eu",
        [
            table(
                dice,
                "lots",
                900,
                lot=text(lambda dice, row: str(row["n"])),
                object=text(lambda dice, row: f"{dice.choice(looks)} {dice.choice(makes)}"),
                kind=text(lambda dice, row: row["object"].split()[-1].lower()),
                consignor=text(some_of(sellers)),
                room=spelled(rooms),
                sale__date=Column(days("2023-01-14"), f.DMY_DOT),
                estimate=Column(skewed(900, None, 1.0), f.GERMAN_WHOLE),
                hammer=Column(hammer, f.GERMAN, gone),
                premium=Column(one_of([18.0, 20.0, 22.5, 24.5, 26.0]), f.GERMAN_PERCENT),
                year__made=Column(missing(0.3, between(1680, 1965)), f.NUMBER_TEXT, gone),
                bids=Column(
                    lambda dice, row: 0 if row["hammer"] is None else dice.randint(1, 24),
                    f.NUMBER_TEXT,
                ),
            )
        ],
    )


_SITES = {
    "en.wikipedia.org": "Alps Basalt Copper Dolphin Estuary Fjord Gothic Horizon Iodine Jazz",
    "www.youtube.com": "Lathe Sourdough Knots Chess Piano Drums Moss Camping Kites Origami",
    "github.com": "parser editor compiler shell router queue mapper linter timer solver",
    "news.ycombinator.com": "Show Ask Launch Tell Poll Hiring Best Newest Front Past",
    "www.bahn.de": "Fahrplan Tickets Reise Konto Angebote",
    "maps.google.com": "Berlin Lyon Porto Ghent Turin",
    "mail.proton.me": "Inbox Sent Drafts",
}


def _pages() -> list[Row]:
    """Pages of the sites, several a word."""
    return [
        {"url": f"https://{site}/{part}/{word.lower()}", "title": f"{word} {part} - {name}"}
        for site, words in _SITES.items()
        for name in [site.removeprefix("www.").split(".")[-2].capitalize()]
        for word in words.split()
        for part in ("a", "b", "c", "d")
    ]


def browsing(dice: Random) -> File:
    """Two browsers' histories in one file: Chrome counts from 1601, Firefox from 1970."""
    pages = _pages()
    dice.shuffle(pages)
    chrome, fox = pages[:110], pages[70:]
    seen = days("2025-03-01")
    spent = missing(0.1, lambda dice, row: int(dice.lognormvariate(4, 1.3) * 1_000_000))
    visits = in_order(dice, "visit_time", 1900, seen)
    opened = in_order(dice, "visit_date", 1700, seen)
    for rows, column, count in ((visits, "url", len(chrome)), (opened, "place_id", len(fox))):
        for row in rows:
            row[column] = 1 + int(count * dice.random() ** 2)
    for known, rows, column, moment in (
        (chrome, visits, "url", "visit_time"),
        (fox, opened, "place_id", "visit_date"),
    ):
        for n, page in enumerate(known, 1):
            moments = [row[moment] for row in rows if row[column] == n]
            page |= {"visit_count": len(moments), "typed_count": int(len(moments) * dice.random())}
            page |= {"last_visit_time": max(moments, default=None)}
            page |= {"last_visit_date": max(moments, default=None)}
    keep = [
        {"fk": n, "label": fox[n - 1]["title"]} for n in dice.sample(range(1, len(fox) + 1), 60)
    ]
    return File(
        "browsing",
        "browser",
        [
            table(
                dice,
                "urls",
                [dict(p) for p in chrome],
                id=number(),
                url=given(),
                title=given(),
                visit_count=given(f.INTEGER),
                typed_count=given(f.INTEGER),
                last_visit_time=given(f.WEBKIT_US, (0,)),
            ),
            table(
                dice,
                "visits",
                visits,
                id=number(),
                url=given(f.INTEGER),
                visit_time=given(f.WEBKIT_US),
                from_visit=whole(missing(0.5, lambda dice, row: max(0, row["n"] - 1)), (0,)),
                visit_duration=whole(spent, (0,)),
            ),
            table(
                dice,
                "moz_places",
                [dict(p) for p in fox],
                id=number(),
                url=given(),
                title=given(),
                visit_count=given(f.INTEGER),
                last_visit_date=given(f.EPOCH_US),
            ),
            table(
                dice,
                "moz_historyvisits",
                opened,
                id=number(),
                place_id=given(f.INTEGER),
                visit_date=given(f.EPOCH_US),
                visit_type=whole(some_of([1, 2, 3, 5])),
            ),
            table(
                dice,
                "moz_bookmarks",
                keep,
                id=number(),
                fk=given(f.INTEGER),
                label=given(),
                dateAdded=Column(days("2023-01-01"), f.EPOCH_US),
            ),
        ],
    )


def telemetry(dice: Random) -> File:
    """What an app reports: times in ms, in seconds as REAL and as TEXT, and a JSON payload."""
    phones = [f"dev-{n:04d}" for n in range(1, 161)]
    goods = words("shoes lamp tent bottle gloves bike helmet kettle scarf skates")
    screens = words("home search basket profile settings help")

    def payload(dice: Random, row: Row) -> str:
        if row["name"] == "purchase":
            price = round(dice.lognormvariate(3, 0.7), 2)
            body = {"item": some_of(goods)(dice, row), "price": price, "gift": dice.random() < 0.2}
        elif row["name"] == "search":
            body = {"term": some_of(goods)(dice, row), "hits": max(0, dice.randint(-6, 60))}
        elif row["name"] == "screen":
            body = {"screen": some_of(screens)(dice, row), "load_ms": int(skewed(420)(dice, row))}
        else:
            body = {"reason": dice.choice(["timeout", "offline", "denied"]), "retry": True}
        return json.dumps(body)

    began = in_order(dice, "started", 900, days("2025-06-01"))
    versions = words("1.2.0 1.9.3 1.10.0 1.10.2 2.0.1")
    return File(
        "telemetry",
        "log",
        [
            table(
                dice,
                "devices",
                [{"device": phone} for phone in phones],
                device=given(),
                model=text(some_of(["Pixel 8", "iPhone 15", "Galaxy S23", "Moto G"])),
                country=text(some_of(["DE", "FR", "US", "JP", "BR"])),
                registered=Column(days("2025-01-01", "2026-06-01"), f.EPOCH_S),
                beta=Column(one_of([0, 0, 0, 1]), f.INTEGER),
            ),
            table(
                dice,
                "events",
                in_order(dice, "ts", 3200, days("2025-06-01")),
                id=number(),
                ts=given(f.EPOCH_MS),
                device=text(some_of(phones[:140])),
                name=text(some_of(["screen", "search", "purchase", "error"])),
                payload=text(payload),
            ),
            table(
                dice,
                "sessions",
                began,
                sid=text(lambda dice, row: f"{dice.getrandbits(40):010x}"),
                device=text(some_of(phones[:150])),
                started=given(f.EPOCH_S_REAL),
                ended=Column(after("started", 0.0005, 0.06), f.EPOCH_S_REAL),
                version=text(some_of(versions)),
            ),
            table(
                dice,
                "crashes",
                in_order(dice, "happened", 420, days("2025-06-01")),
                id=number(),
                happened=given(f.EPOCH_S_TEXT),
                device=text(some_of(phones[:90])),
                signal=text(some_of(["SIGSEGV", "SIGABRT", "OOM"])),
                free_mb=Column(between(3, 900), f.NUMBER_TEXT),
            ),
        ],
    )


def health(dice: Random) -> File:
    """A health app's export: seconds since 2001, Julian days, spreadsheet days."""
    nights = [
        {"asleep": TODAY - timedelta(days=n, seconds=-dice.randint(75_000, 90_000))}
        for n in range(620, 1, -1)
    ]
    dates = [{"day": TODAY - timedelta(days=n)} for n in range(700, 0, -1)]
    weighed = [
        {"taken": TODAY - timedelta(days=2 * n, seconds=-dice.randint(21_000, 30_000))}
        for n in range(400, 1, -1)
    ]

    def metres(dice: Random, row: Row) -> float:
        pace = {"Running": 2.8, "Cycling": 6.1, "Walking": 1.3, "Rowing": 2.2}
        return round(row["duration"] * pace.get(row["sport"], 0) * dice.uniform(0.85, 1.15), 1)

    return File(
        "health",
        "health",
        [
            table(
                dice,
                "sleep",
                nights,
                asleep=given(f.MAC_S),
                awake=Column(after("asleep", 0.19, 0.4), f.MAC_S),
                source=text(some_of(["Watch", "Phone", "Ring"])),
                interruptions=whole(between(0, 7)),
            ),
            table(
                dice,
                "weight",
                weighed,
                taken=given(f.JULIAN),
                grams=whole(lambda dice, row: 78_000 + 9 * row["n"] + dice.randint(-900, 900)),
                fat_percent=real(missing(0.2, between(17, 24, 1)), (None, -1)),
            ),
            table(
                dice,
                "steps",
                dates,
                day=given(f.EXCEL_DAY),
                steps=whole(skewed(7200, None, 0.45)),
                floors=whole(missing(0.15, between(0, 30))),
                metres=whole(lambda dice, row: int(row["steps"] * dice.uniform(0.68, 0.78))),
            ),
            table(
                dice,
                "workouts",
                in_order(dice, "began", 520, days("2025-01-01")),
                id=number(),
                began=given(f.MAC_S),
                sport=text(some_of(["Running", "Cycling", "Walking", "Yoga", "Rowing"])),
                duration=whole(lambda dice, row: dice.randint(900, 7200)),
                distance=real(metres),
                kcal=whole(lambda dice, row: int(row["duration"] * dice.uniform(0.1, 0.2))),
            ),
        ],
    )


def boxoffice(dice: Random) -> File:
    """Tickets in cents, with refunds in a table of their own and orders that were called off."""
    heads = words("Moon River Glass Winter Paper Iron Silent Golden Last Hidden Broken")
    tails = words("Concert Parade Circus Quartet Opera Cabaret Revue Ballet")
    shows = dice.sample([f"{h} {t}" for h in heads for t in tails], 40)
    dates = in_order(dice, "starts", 40, days("2025-02-01", "2027-06-01"))
    events = [{**date, "title": title} for date, title in zip(dates, shows, strict=True)]
    orders: list[Row] = []
    for n in range(1, 1301):
        event = some_of(range(1, 41))(dice, {})
        orders.append({"id": n, "event_id": event, "tickets": some_of([2, 1, 4, 3, 6])(dice, {})})
    back = []
    for order in orders:
        order["status"] = some_of(["paid", "paid", "refunded", "cancelled"])(dice, {})
        order["total"] = order["tickets"] * dice.choice([1850, 2400, 3200, 4575, 6900, 12_050])
        if order["status"] == "refunded":
            for share in dice.choice([(1,), (0.5,), (0.5, 0.25), (0.4, 0.4)]):
                back.append({"order_id": order["id"], "amount": int(order["total"] * share)})
    return File(
        "boxoffice",
        "cents",
        [
            table(
                dice,
                "events",
                events,
                "PRIMARY KEY (id)",
                id=number(),
                title=given(),
                venue=text(some_of(["Old Mill", "City Hall", "Harbour Stage", "Arena"])),
                starts=given(f.ISO_T),
                seats=whole(
                    lambda dice, row: 900 if row["n"] < 9 else dice.choice([120, 250, 400])
                ),
            ),
            table(
                dice,
                "orders",
                orders,
                "PRIMARY KEY (id), FOREIGN KEY (event_id) REFERENCES events (id)",
                id=given(f.INTEGER),
                event_id=given(f.INTEGER),
                buyer=text(some_of(people(dice, _FIRST, _LAST, 120))),
                tickets=given(f.INTEGER),
                total=given(f.INTEGER),
                fee=whole(lambda dice, row: 90 * row["tickets"] + 150),
                status=given(),
                ordered=Column(days("2025-01-01"), f.ISO_TIME),
            ),
            table(
                dice,
                "refunds",
                back,
                "PRIMARY KEY (id), FOREIGN KEY (order_id) REFERENCES orders (id)",
                id=number(),
                order_id=given(f.INTEGER),
                amount=given(f.INTEGER),
                reason=text(some_of(["illness", "show moved", "double order", "other"])),
            ),
        ],
    )


def fleet(dice: Random) -> File:
    """A delivery fleet in three letters, without a declared key."""
    drivers = people(dice, _FIRST, _LAST, 38)
    towns = words("Ulm Graz Linz Metz Bern Gent Lille Basel Trier Aarau")
    models = words("Sprinter Transit Daily Master Ducato")

    def plate(dice: Random, row: Row) -> str:
        return f"{dice.choice('ABFKMS')}{dice.choice('DEHLT')}-{100 + 7 * row['n']}"

    def litres(dice: Random, row: Row) -> float:
        return round(row["kms"] * dice.uniform(0.07, 0.14), 1)

    return File(
        "fleet",
        "cryptic",
        [
            table(
                dice,
                "vhc",
                52,
                vid=number(),
                plt=text(plate),
                mdl=text(some_of(models)),
                yrb=whole(between(2012, 2022)),
                cap=whole(one_of([800, 1000, 1200, 1500])),
            ),
            table(
                dice,
                "drv",
                [{"nam": name} for name in drivers],
                did=number(),
                nam=given(),
                hrd=Column(days("2009-01-01", "2026-01-01"), f.COMPACT),
                twn=text(some_of(towns)),
            ),
            table(
                dice,
                "trp",
                in_order(dice, "dat", 1500, days("2024-01-01")),
                tid=number(),
                vid=whole(some_of(range(1, 50))),
                did=whole(some_of(range(1, 37))),
                dat=given(f.COMPACT),
                org=text(some_of(towns)),
                dst=text(one_of(towns)),
                kms=whole(skewed(140, None, 0.7)),
                ltr=real(litres),
                sts=text(some_of(["done", "done", "late", "cancelled"])),
            ),
            table(
                dice,
                "rep",
                260,
                rid=number(),
                vid=whole(one_of(range(1, 45))),
                dat=Column(days("2024-01-01"), f.COMPACT),
                cst=whole(skewed(380, None, 0.9)),
                typ=text(some_of(["brakes", "tyres", "oil", "gearbox", "body"])),
            ),
        ],
    )


def shelter(dice: Random) -> File:
    """An animal shelter: what is said of an animal stands in look-up tables behind integers."""
    kinds = {"dog": "Beagle Poodle Collie Boxer Dachshund", "cat": "Siamese Tabby Persian Birman"}
    kinds |= {"rabbit": "Lop Angora Rex", "bird": "Budgie Canary Cockatiel"}
    breeds = [
        {"kind_id": k, "breed": b} for k, bs in enumerate(kinds.values(), 1) for b in bs.split()
    ]
    colours = words("black white brown grey ginger spotted golden cream")
    states = ["in care", "adopted", "reserved", "fostered", "deceased"]
    names = words("Bella Milo Luna Max Coco Rocky Nala Simba Poppy Oreo Daisy Felix Ruby Toby Kiwi")

    def lookup(name: str, column: str, known: list[str]):
        return table(
            dice,
            name,
            [{column: w} for w in known],
            "PRIMARY KEY (id)",
            id=number(),
            **{column: given()},
        )

    home = people(dice, _FIRST, _LAST, 90)
    animals = table(
        dice,
        "animal",
        800,
        "PRIMARY KEY (id), FOREIGN KEY (breed_id) REFERENCES breed (id), "
        "FOREIGN KEY (eye_colour_id) REFERENCES colour (id), "
        "FOREIGN KEY (coat_colour_id) REFERENCES colour (id), "
        "FOREIGN KEY (status_id) REFERENCES status (id), "
        "FOREIGN KEY (size_id) REFERENCES size (id)",
        id=number(),
        name=text(one_of(names)),
        breed_id=whole(some_of(range(1, len(breeds) + 1))),
        eye_colour_id=whole(missing(0.08, one_of([1, 3, 4, 5, 7]))),
        coat_colour_id=whole(some_of(range(1, 9))),
        size_id=whole(one_of([1, 2, 3, 4])),
        status_id=whole(some_of([2, 1, 4, 3, 5])),
        arrived=Column(days("2023-01-01"), f.ISO),
        weight=whole(skewed(6500, None, 0.7)),
    )
    adopted = [{"animal_id": row["id"]} for row in animals.meant if row["status_id"] == 2]
    return File(
        "shelter",
        "lookup",
        [
            lookup("kind", "name", list(kinds)),
            table(
                dice,
                "breed",
                breeds,
                "PRIMARY KEY (id), FOREIGN KEY (kind_id) REFERENCES kind (id)",
                id=number(),
                kind_id=given(f.INTEGER),
                breed=given(),
            ),
            lookup("colour", "colour", colours),
            lookup("status", "status", states),
            lookup("size", "size", ["tiny", "small", "medium", "large"]),
            animals,
            table(
                dice,
                "adoption",
                adopted,
                "PRIMARY KEY (id), FOREIGN KEY (animal_id) REFERENCES animal (id)",
                id=number(),
                animal_id=given(f.INTEGER),
                adopter=text(some_of(home)),
                fee=whole(one_of([0, 25, 60, 90, 120, 150])),
            ),
        ],
    )


def league(dice: Random) -> File:
    """Ice hockey: two columns of a game refer to a club, and so do two of a transfer."""
    towns = words("Aston Burwell Carrow Dunmore Eastby Fenwick Garth Holt Irby Kelso Lorne Malton")
    nicks = words("Bears Comets Wolves Flames Kings Otters Stags Hawks Storm Pikes Bulls Owls")
    clubs = [f"{town} {nick}" for town, nick in zip(towns, dice.sample(nicks, 12), strict=True)]
    games: list[Row] = []
    for start in in_order(dice, "day", 600, days("2024-09-01")):
        home, away = dice.sample(range(1, 13), 2)
        games.append({**start, "home_id": home, "away_id": away})
    moves = []
    for moved in in_order(dice, "moved", 240, days("2023-06-01")):
        old, new = dice.sample(range(1, 13), 2)
        moves.append({**moved, "from_club": old, "to_club": new})
    skill = {n: dice.uniform(-0.8, 0.9) for n in range(1, 13)}

    def goals(side: str, extra: float):
        return whole(
            lambda dice, row: max(0, round(dice.gauss(2.4 + extra + skill[row[side]], 1.5)))
        )

    key = "FOREIGN KEY ({}) REFERENCES club (id)"
    return File(
        "league",
        "roles",
        [
            table(
                dice,
                "club",
                [{"name": club} for club in clubs],
                "PRIMARY KEY (id)",
                id=number(),
                name=given(),
                rink=text(lambda dice, row: f"{row['name'].split()[0]} Ice Hall"),
                founded=whole(between(1921, 1998)),
            ),
            table(
                dice,
                "player",
                [{"name": name} for name in people(dice, _FIRST, _LAST, 150)],
                f"PRIMARY KEY (id), {key.format('club_id')}",
                id=number(),
                name=given(),
                club_id=whole(one_of(range(1, 13))),
                born=Column(days("1988-01-01", "2007-01-01"), f.ISO),
                position=text(some_of(["forward", "defence", "goalie"])),
            ),
            table(
                dice,
                "game",
                games,
                f"PRIMARY KEY (id), {key.format('home_id')}, {key.format('away_id')}",
                id=number(),
                day=given(f.D_MON_Y),
                home_id=given(f.INTEGER),
                away_id=given(f.INTEGER),
                home_goals=goals("home_id", 0.3),
                away_goals=goals("away_id", 0),
                crowd=whole(skewed(2600, None, 0.5)),
            ),
            table(
                dice,
                "transfer",
                moves,
                f"PRIMARY KEY (id), {key.format('from_club')}, {key.format('to_club')}",
                id=number(),
                player_id=whole(one_of(range(1, 151))),
                from_club=given(f.INTEGER),
                to_club=given(f.INTEGER),
                moved=given(f.ISO),
                fee=whole(missing(0.3, skewed(60_000, None, 0.9)), (None, 0)),
            ),
        ],
    )


def rowing(dice: Random) -> File:
    """Members of a rowing club: flags of every fashion, '' beside NULL, ties."""
    names = people(dice, _FIRST, _LAST, 208) + people(dice, "Quin Rosa Sven Tara Ugo", _LAST, 60)
    yes = {"yes": ("Y", "y", "yes", "t", "TRUE", "1"), "no": ("N", "n", "no", "f", "FALSE", "0")}
    bools = {"yes": ("t", "t", "T"), "no": ("f", "f", "F")}
    mixed = {"yes": (1, "Y", 1), "no": (0, "N", 0)}
    levels = {
        "beginner": ("beginner", "Beginner", "beginner "),
        "advanced": ("advanced", "Advanced", "ADVANCED"),
        "racing": ("racing", "Racing", "racing "),
    }
    gone = (None, "", "N/A", "-")
    outings = in_order(dice, "went", 1600, days("2025-01-01"))
    return File(
        "rowing",
        "flags",
        [
            table(
                dice,
                "members",
                [{"name": name} for name in names],
                member_no=number(),
                name=given(),
                phone=text(
                    missing(
                        0.3,
                        lambda dice, row: f"0{dice.randint(150, 179)} {dice.randint(10**6, 10**7)}",
                    ),
                    gone,
                ),
                email=text(
                    missing(
                        0.2,
                        lambda dice, row: f"{row['name'].split()[0].lower()}{row['n']}@post.net",
                    ),
                    (None, ""),
                ),
                active=spelled(yes),
                fee_paid=spelled(bools),
                key_holder=spelled(mixed, one_of(["no", "no", "no", "yes"]), f.UNTYPED),
                level=spelled(levels),
                joined=Column(days("2012-01-01"), f.ISO),
                left_on=Column(missing(0.8, days("2024-01-01")), f.ISO, (None, "", "0000-00-00")),
                locker=whole(missing(0.6, between(1, 40)), (None, 0)),
                birth_year=whole(missing(0.1, between(1946, 2010)), (None, 0)),
            ),
            table(
                dice,
                "outings",
                outings,
                id=number(),
                member_no=whole(some_of(range(1, 255))),
                boat=text(some_of(["Heron", "Kestrel", "Osprey", "Swift", "Wren", "Tern"])),
                went=given(f.ISO_TIME),
                minutes=whole(missing(0.06, between(25, 140)), (None, -1)),
                metres=whole(missing(0.06, lambda dice, row: 500 * dice.randint(4, 30))),
                cox=text(missing(0.5, some_of(names[:12])), ("", None, "none")),
            ),
            table(
                dice,
                "races",
                320,
                id=number(),
                regatta=text(one_of(["Spring Head", "Lake Cup", "Autumn Sprints", "Old Bridge"])),
                season=whole(between(2022, 2026)),
                member_no=whole(one_of(range(1, 120))),
                finish=Column(lambda dice, row: dice.randint(530, 720), f.MINUTES_SECONDS),
                points=whole(some_of([1, 2, 4, 6, 10])),
            ),
        ],
    )


def cottages(dice: Random) -> File:
    """Bookings of holiday cottages, past and to come: asked in relative words."""
    places = dice.sample(
        [
            f"{a} {b}"
            for a in ["Heath", "Mill", "Cliff", "Orchard", "Brook", "Lark", "Fern"]
            for b in ("Barn", "House", "Lodge")
        ],
        18,
    )
    guests = people(dice, _FIRST, _LAST, 160)
    stays = in_order(dice, "arrival", 1600, days("2025-01-01", "2028-02-01"))
    return File(
        "cottages",
        "relative",
        [
            table(
                dice,
                "cottages",
                [{"name": name} for name in places],
                "PRIMARY KEY (id)",
                id=number(),
                name=given(),
                village=text(one_of(["Selby", "Thorpe", "Marsden", "Whitby"])),
                beds=whole(one_of([2, 4, 4, 6, 8])),
                dogs=text(one_of(["yes", "no"])),
            ),
            table(
                dice,
                "stays",
                stays,
                "PRIMARY KEY (id), FOREIGN KEY (cottage_id) REFERENCES cottages (id)",
                id=number(),
                cottage_id=whole(some_of(range(1, 18))),
                guest=text(some_of(guests)),
                arrival=given(f.MON_D_Y),
                departure=Column(
                    lambda dice, row: row["arrival"] + timedelta(days=dice.randint(2, 14)),
                    f.MON_D_Y,
                ),
                people=whole(between(1, 8)),
                price=whole(lambda dice, row: 10 * dice.randint(18, 190)),
                state=text(some_of(["confirmed", "confirmed", "cancelled", "requested"])),
                booked=Column(
                    lambda dice, row: (
                        min(row["arrival"], TODAY)
                        - timedelta(days=dice.randint(1, 200), seconds=dice.randint(0, 80_000))
                    ),
                    f.DMY_DOT_TIME,
                ),
            ),
            table(
                dice,
                "cleaning",
                900,
                id=number(),
                cottage_id=whole(one_of(range(1, 19))),
                due=Column(days("2026-01-01", "2027-06-01"), f.DMY_SLASH),
                cleaner=text(some_of(guests[:7])),
                done=Column(
                    lambda dice, row: int(row["due"] < TODAY and dice.random() < 0.93), f.INTEGER
                ),
            ),
        ],
    )


FILES = (
    claims,
    auction,
    browsing,
    telemetry,
    health,
    boxoffice,
    fleet,
    shelter,
    league,
    rowing,
    cottages,
)
