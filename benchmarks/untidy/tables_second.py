"""The files of the second half (even seeds), one function each. For measuring: see __init__."""

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
    Table,
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

_FIRST = "Aisha Bruno Carla Derek Elif Fiona Gil Hugo Imani Jonas Kaya Liam Mei Noor Oscar Priya"
_LAST = "Adler Bishop Chen Duarte Eriksen Flores Gupta Haas Ito Jung Kowalski Lindqvist Mensah"


def usedcars(dice: Random) -> File:
    """A car dealer's spreadsheet, American style: every column is TEXT."""
    makes = {
        "Volkswagen": ("Volkswagen", "VW", "VW", "volkswagen"),
        "Mercedes": ("Mercedes", "Mercedes-Benz", "MERCEDES"),
        "Chevrolet": ("Chevrolet", "Chevy", "chevrolet "),
        "Toyota": ("Toyota", "Toyota", "TOYOTA", "toyota"),
    }
    fuels = {
        "gas": ("Gas", "gas", "GAS "),
        "diesel": ("Diesel", "diesel", "Diesel "),
        "electric": ("Electric", "electric", "ELECTRIC"),
    }
    sellers = people(dice, _FIRST, _LAST, 9)
    gone = ("--", "")

    def price(dice: Random, row: Row):
        return None if row["Date Sold"] is None else row["Asking Price"] * dice.uniform(0.82, 1.0)

    return File(
        "usedcars",
        "csv",
        [
            table(
                dice,
                "inventory",
                1050,
                Stock__No=text(lambda dice, row: f"K{4000 + 3 * row['n']}"),
                Make=spelled(makes),
                Model__Year=Column(between(2004, 2025), f.NUMBER_TEXT),
                Fuel=spelled(fuels),
                Mileage=Column(missing(0.04, skewed(58_000, None, 0.7)), f.THOUSANDS_MILES, gone),
                Asking__Price=Column(skewed(14_500, None, 0.6), f.WHOLE_DOLLARS),
                Date__In=Column(days("2024-02-01"), f.MON_D_Y),
                Date__Sold=Column(after("Date In", 2, 260, TODAY), f.MDY_LOOSE, gone),
                Sold__For=Column(price, f.DOLLARS, gone),
                Sales__Rep=text(some_of(sellers)),
                Accidents=Column(missing(0.2, some_of([0, 0, 1, 2, 3])), f.NUMBER_TEXT, ("?", "")),
                Discount=Column(
                    missing(0.3, one_of([1, 2.5, 3, 5, 7.5, 10])), f.PERCENT_TIGHT, gone
                ),
            )
        ],
    )


def energy(dice: Random) -> File:
    """A landlord's electricity and gas bills, with decimal commas: all TEXT."""
    kinds = {
        "electricity": ("electricity", "Electricity", "Strom", "strom "),
        "gas": ("gas", "Gas", "Gas "),
        "water": ("water", "Water", "Wasser"),
    }
    renters = people(dice, _FIRST, _LAST, 48)
    open_ = ("offen", "")
    flats = [{"flat": f"F{n:02d}", "renter": renter} for n, renter in enumerate(renters, 1)]

    def owed(dice: Random, row: Row) -> float:
        return round(row["used"] * row["rate"] + 11.9, 2)

    return File(
        "energy",
        "csv-eu",
        [
            table(
                dice,
                "flats",
                flats,
                flat=given(),
                renter=given(),
                street=text(some_of(["Ahornweg", "Lindenallee", "Am Markt", "Kirchgasse"])),
                area=Column(between(31, 140, 1), f.GERMAN),
            ),
            table(
                dice,
                "bills",
                1300,
                bill=text(lambda dice, row: f"{20000 + row['n']}"),
                flat=text(lambda dice, row: some_of(flats[:46])(dice, row)["flat"]),
                sort=spelled(kinds),
                issued=Column(days("2023-02-01"), f.DMY_DOT),
                used=Column(skewed(420, 1, 0.9), f.GERMAN_KWH),
                rate=Column(between(0.09, 0.49, 2), f.GERMAN_EURO),
                owed=Column(owed, f.GERMAN),
                settled=Column(after("issued", 4, 75, TODAY - timedelta(days=5)), f.DMY_DOT, open_),
                vat=Column(one_of([7.0, 16.0, 19.0]), f.GERMAN_PERCENT),
                reminder=Column(missing(0.5, some_of([0, 1, 2, 3])), f.NUMBER_TEXT, ("", "keine")),
            ),
        ],
    )


def player(dice: Random) -> File:
    """A video player that counts as Chrome does in one table and from 1970 in the others."""
    topics = words("Bread Glaciers Saxophone Welding Orchids Fencing Volcanoes Sewing Tides Maps")
    makers = ["Slow Kitchen", "Rock & Ice", "Night Lessons", "Tiny Workshop", "Field Notes"]
    films: list[Row] = [
        {"film": f"{topic} part {part}", "maker": makers[(n * 7 + part) % 5]}
        for n, topic in enumerate(topics)
        for part in range(1, 13)
    ]
    dice.shuffle(films)
    plays = in_order(dice, "started", 2400, days("2025-04-01"))
    for row in plays:
        row["film_no"] = 1 + int(110 * dice.random() ** 1.6)
    for n, film in enumerate(films, 1):
        film["plays"] = sum(row["film_no"] == n for row in plays)
        film["seen_last"] = max((r["started"] for r in plays if r["film_no"] == n), default=None)
    length = whole(lambda dice, row: dice.randint(180, 4200) * 1000)
    return File(
        "player",
        "browser",
        [
            table(
                dice,
                "films",
                films,
                film_no=number(),
                film=given(),
                maker=given(),
                length=length,
                plays=given(f.INTEGER),
                added=Column(days("2024-01-01", "2025-04-01"), f.EPOCH_US),
                seen_last=given(f.WEBKIT_US, (0,)),
            ),
            table(
                dice,
                "watched",
                plays,
                id=number(),
                film_no=given(f.INTEGER),
                started=given(f.WEBKIT_US),
                watched_for=whole(
                    missing(0.12, lambda dice, row: int(dice.lognormvariate(6, 1) * 1_000_000)),
                    (0, -1),
                ),
                speed=real(some_of([1.0, 1.25, 1.5, 2.0])),
            ),
            table(
                dice,
                "likes",
                in_order(dice, "liked", 170, days("2024-06-01")),
                film_no=whole(one_of(range(1, len(films) + 1))),
                liked=given(f.EPOCH_US),
                stars=whole(some_of([5, 4, 3, 2, 1])),
            ),
        ],
    )


def doors(dice: Random) -> File:
    """The log of a building's doors: ms as TEXT, seconds as REAL and INTEGER, JSON details."""
    holders = people(dice, _FIRST, _LAST, 85)
    gates = ["North Gate", "Lab 2", "Archive", "Garage", "Server Room", "Roof"]

    def details(dice: Random, row: Row) -> str:
        ok = dice.random() < 0.86
        body = {"granted": ok, "battery": dice.randint(5, 100)}
        body |= (
            {"open_ms": dice.randint(900, 19_000)}
            if ok
            else {"why": some_of(["expired", "zone", "pin"])(dice, row)}
        )
        return json.dumps({"door": {"lock": dice.choice(["L1", "L2", "L3"])}, **body})

    return File(
        "doors",
        "log",
        [
            table(
                dice,
                "badges",
                [{"holder": holder} for holder in holders],
                badge=text(lambda dice, row: f"B{700 + row['n']}"),
                holder=given(),
                team=text(some_of(["Facilities", "Research", "Finance", "Visitors"])),
                issued=Column(days("2022-01-01", "2026-03-01"), f.EPOCH_S),
                revoked=Column(missing(0.75, days("2026-03-01")), f.EPOCH_S, (None, 0)),
            ),
            table(
                dice,
                "swipes",
                in_order(dice, "at", 3000, days("2025-09-01")),
                id=number(),
                at=given(f.EPOCH_MS_TEXT),
                badge=text(lambda dice, row: f"B{700 + some_of(range(1, 80))(dice, row)}"),
                gate=text(some_of(gates)),
                details=text(details),
            ),
            table(
                dice,
                "alarms",
                in_order(dice, "raised", 460, days("2025-03-01")),
                alarm=number(),
                raised=given(f.EPOCH_S_REAL),
                cleared=Column(missing(0.08, after("raised", 0.001, 0.4)), f.EPOCH_S_REAL),
                gate=text(some_of(gates)),
                grade=text(some_of(["info", "warning", "critical"])),
            ),
            table(
                dice,
                "firmware",
                in_order(dice, "flashed", 210, days("2024-01-01")),
                gate=text(one_of(gates)),
                build=text(some_of(["3.9", "3.10", "3.2", "4.0", "3.11"])),
                flashed=given(f.COMPACT_TIME),
                size_kb=Column(between(80, 2400), f.NUMBER_TEXT),
            ),
        ],
    )


def baby(dice: Random) -> File:
    """A baby tracker's export: Apple's seconds, Julian days, spreadsheet days."""
    born = "2025-08-01"
    return File(
        "baby",
        "health",
        [
            table(
                dice,
                "feeds",
                in_order(dice, "fed", 2200, days(born)),
                id=number(),
                fed=given(f.MAC_S),
                kind=text(some_of(["bottle", "breast", "porridge"])),
                ml=whole(missing(0.25, between(40, 240)), (None, 0)),
                lasted=whole(between(180, 2400)),
                giver=text(some_of(["Mum", "Dad", "Gran"])),
            ),
            table(
                dice,
                "naps",
                in_order(dice, "slept", 1500, days(born)),
                slept=given(f.MAC_S),
                woke=Column(after("slept", 0.01, 0.16), f.MAC_S),
                place=text(some_of(["cot", "pram", "sofa"])),
            ),
            table(
                dice,
                "growth",
                in_order(dice, "measured", 130, days(born)),
                measured=given(f.JULIAN),
                g=whole(lambda dice, row: 3300 + 47 * row["n"] + dice.randint(-120, 120)),
                mm=whole(lambda dice, row: 505 + 2 * row["n"] + dice.randint(-4, 4)),
            ),
            table(
                dice,
                "nappies",
                in_order(dice, "day", 2000, days(born)),
                day=given(f.EXCEL_DAY),
                full=whole(one_of([0, 1, 1])),
                changed_by=text(some_of(["Mum", "Dad", "Gran", ""])),
            ),
        ],
    )


def vending(dice: Random) -> File:
    """Vending machines: prices in pence, money back as negative sales."""
    snacks = words("Crisps Cola Water Mints Nuts Cookies Juice Gum Raisins Coffee")
    spots = ["Lobby", "Pool", "Canteen", "Platform 1", "Ward C", "Gym"]
    price = dict(zip(snacks, (95, 140, 85, 60, 125, 110, 155, 45, 75, 180), strict=True))
    sold: list[Row] = []
    for row in in_order(dice, "at", 2600, days("2025-01-01")):
        row |= {"snack": some_of(snacks)(dice, row), "machine_no": some_of(range(1, 27))(dice, row)}
        back = dice.random() < 0.07
        row["kind"] = "R" if back else "S"
        row["pence"] = (-1 if back else 1) * price[row["snack"]] * dice.choice([1, 1, 1, 2])
        sold.append(row)
    return File(
        "vending",
        "cents",
        [
            table(
                dice,
                "machines",
                30,
                "PRIMARY KEY (machine_no)",
                machine_no=number(),
                spot=text(one_of(spots)),
                rent=whole(one_of([4500, 6000, 8250])),
                since=Column(days("2019-01-01", "2025-01-01"), f.ISO),
            ),
            table(
                dice,
                "sales",
                sold,
                "FOREIGN KEY (machine_no) REFERENCES machines (machine_no)",
                id=number(),
                machine_no=given(f.INTEGER),
                snack=given(),
                pence=given(f.INTEGER),
                kind=given(),
                paid_with=text(some_of(["card", "coins", "app"])),
                at=given(f.ISO_TIME),
            ),
            table(
                dice,
                "refills",
                in_order(dice, "filled", 700, days("2025-01-01")),
                "FOREIGN KEY (machine_no) REFERENCES machines (machine_no)",
                machine_no=whole(one_of(range(1, 28))),
                snack=text(one_of(snacks)),
                pieces=whole(between(6, 48)),
                paid=whole(lambda dice, row: int(row["pieces"] * price[row["snack"]] * 0.55)),
                filled=given(f.YMD_SLASH),
            ),
        ],
    )


def library(dice: Random) -> File:
    """A small library in three letters, without a declared key."""
    nouns = words("River Lantern Orchard Winter Compass Harbour Violin Garden Mirror Bridge Salt")
    heads = ["The Last", "A Quiet", "Beyond the", "Letters from the", "Under the", "My"]
    titles = dice.sample([f"{head} {noun}" for head in heads for noun in nouns], 60)
    lent = in_order(dice, "ldt", 1800, days("2024-01-01"))
    return File(
        "library",
        "cryptic",
        [
            table(
                dice,
                "mbr",
                [{"mnm": name} for name in people(dice, _FIRST, _LAST, 140)],
                mno=number(),
                mnm=given(),
                cty=text(some_of(["Leeds", "York", "Hull", "Ripon"])),
                jdt=Column(days("2016-01-01", "2024-01-01"), f.COMPACT),
            ),
            table(
                dice,
                "ttl",
                [{"tnm": title} for title in titles],
                tno=number(),
                tnm=given(),
                aut=text(some_of(people(dice, "Ada Basil Clara Edgar Iris", _LAST, 24))),
                gen=text(some_of(["crime", "poetry", "travel", "history"])),
                pgs=whole(between(90, 720)),
            ),
            table(
                dice,
                "cpy",
                190,
                cno=number(),
                tno=whole(some_of(range(1, 56))),
                cnd=text(some_of(["good", "worn", "torn"])),
                prc=whole(between(700, 4200)),
            ),
            table(
                dice,
                "lon",
                lent,
                lno=number(),
                cno=whole(some_of(range(1, 180))),
                mno=whole(some_of(range(1, 131))),
                ldt=given(f.COMPACT),
                rdt=Column(after("ldt", 1, 60, TODAY), f.COMPACT, (None, 0)),
                fin=whole(missing(0.7, one_of([50, 100, 150, 300])), (0, None)),
            ),
        ],
    )


def museum(dice: Random) -> File:
    """A museum's objects: material, technique, period and room are numbers of other tables."""

    def lookup(name: str, column: str, known: list[str]) -> Table:
        rows = [{column: word} for word in known]
        return table(dice, name, rows, "PRIMARY KEY (id)", id=number(), **{column: given()})

    def refers(column: str, other: str) -> str:
        return f"FOREIGN KEY ({column}) REFERENCES {other} (id)"

    things = words("bowl coin mask dagger statue brooch tablet jar comb bell")
    return File(
        "museum",
        "lookup",
        [
            lookup("materials", "material", words("bronze clay ivory silver glass wood gold")),
            lookup("techniques", "technique", ["cast", "carved", "woven", "blown", "hammered"]),
            lookup("periods", "period", ["Iron Age", "Roman", "Viking", "Medieval", "Tudor"]),
            lookup("conditions", "label", ["intact", "cracked", "restored", "fragment"]),
            table(
                dice,
                "rooms",
                [{"room": room} for room in ("Rotunda", "West Wing", "Vault", "Cellar", "Annex")],
                "PRIMARY KEY (id)",
                id=number(),
                room=given(),
                open_=whole(one_of([0, 1, 1])),
            ),
            table(
                dice,
                "donors",
                [{"donor": donor} for donor in people(dice, _FIRST, _LAST, 55)],
                "PRIMARY KEY (id)",
                id=number(),
                donor=given(),
            ),
            table(
                dice,
                "objects",
                950,
                "PRIMARY KEY (id), "
                + ", ".join(
                    [
                        refers("main_material_id", "materials"),
                        refers("second_material_id", "materials"),
                        refers("technique_id", "techniques"),
                        refers("period_id", "periods"),
                        refers("condition_id", "conditions"),
                        refers("room_id", "rooms"),
                        refers("donor_id", "donors"),
                    ]
                ),
                id=number(),
                thing=text(one_of(things)),
                main_material_id=whole(some_of(range(1, 8))),
                second_material_id=whole(missing(0.5, one_of(range(1, 8)))),
                technique_id=whole(one_of(range(1, 6))),
                period_id=whole(some_of([2, 4, 1, 3, 5])),
                condition_id=whole(some_of([3, 1, 4, 2])),
                room_id=whole(missing(0.1, some_of([2, 1, 5, 4, 3]))),
                donor_id=whole(missing(0.4, some_of(range(1, 56)))),
                found=whole(missing(0.1, between(1820, 2019)), (None, 0)),
                weight=whole(skewed(640, None, 1.1)),
            ),
        ],
    )


def parcels(dice: Random) -> File:
    """Parcels between people and between depots: senders and receivers are both people."""
    names = people(dice, _FIRST, _LAST, 90)
    cities = words("Oslo Riga Vilnius Tartu Malmo Turku Bergen Gdansk")
    sent: list[Row] = []
    for row in in_order(dice, "sent", 1700, days("2025-01-01")):
        one, other = (1 + int(count * dice.random() ** 1.7) for count in (70, 88))
        start, end = dice.sample(range(1, 9), 2)
        row |= {"sender": one, "receiver": 91 - other}
        sent.append({**row, "from_depot": start, "to_depot": end})
    person, depot = (
        "FOREIGN KEY ({}) REFERENCES people (id)",
        "FOREIGN KEY ({}) REFERENCES depots (id)",
    )
    return File(
        "parcels",
        "roles",
        [
            table(
                dice,
                "depots",
                [{"city": city} for city in cities],
                "PRIMARY KEY (id)",
                id=number(),
                city=given(),
                staff=whole(between(4, 60)),
            ),
            table(
                dice,
                "people",
                [{"name": name} for name in names],
                "PRIMARY KEY (id)",
                id=number(),
                name=given(),
                home=text(some_of(cities)),
                brought_in_by=whole(
                    missing(0.4, lambda dice, row: dice.randint(1, row["n"])), (None,)
                ),
            ),
            table(
                dice,
                "parcels",
                sent,
                ", ".join(
                    ["PRIMARY KEY (id)"]
                    + [person.format(c) for c in ("sender", "receiver")]
                    + [depot.format(c) for c in ("from_depot", "to_depot")]
                ),
                id=number(),
                sender=given(f.INTEGER),
                receiver=given(f.INTEGER),
                from_depot=given(f.INTEGER),
                to_depot=given(f.INTEGER),
                grams=whole(skewed(1400, None, 0.9)),
                sent=given(f.DMY_TIME),
                arrived=Column(missing(0.04, after("sent", 0.6, 11, TODAY)), f.DMY_TIME),
                state=text(lambda dice, row: "lost" if dice.random() < 0.03 else "ok"),
            ),
        ],
    )


def nursery(dice: Random) -> File:
    """A plant nursery's stock list: crosses, ticks and zeros as flags, gaps of every kind, ties."""
    genus = words("Acer Salvia Hosta Sedum Rosa Iris Aster Phlox Allium Fern Malus Prunus")
    looks = words("Ruby Snow Giant Dwarf Golden Velvet Mist Star Flame Silk Dawn Shade")
    plants = [{"plant": f"{g} '{k}'"} for g in genus for k in looks]
    cross = {"yes": ("x", "X", "x "), "no": ("", "-", " ")}
    hardy = {"yes": ("T", "true", "True", "1"), "no": ("F", "false", "False", "0")}
    shade = {"yes": (1, "J", 1, "ja"), "no": (0, "N", 0, "nein")}
    light = {
        "sun": ("sun", "Sun", "full sun"),
        "half": ("half", "Half", "half shade"),
        "dark": ("dark", "Dark ", "shade"),
    }
    gone = (None, "", "n/a", "?")
    orders = in_order(dice, "placed", 1300, days("2025-01-01"))
    return File(
        "nursery",
        "flags",
        [
            table(
                dice,
                "plants",
                plants,
                no=number(),
                plant=given(),
                organic=spelled(cross),
                frost_proof=spelled(hardy),
                climbs=spelled(shade, one_of(["no", "no", "yes"]), f.UNTYPED),
                light=spelled(light),
                height=whole(missing(0.12, between(5, 390)), (None, 0, -1)),
                supplier=text(
                    missing(0.25, some_of(["Van Dam", "Greenway", "Moss & Co", "Tilia"])), gone
                ),
                price=real(lambda dice, row: dice.choice([2.5, 3.9, 4.5, 6.9, 9.5, 12.9])),
                stock=whole(
                    missing(0.1, lambda dice, row: max(0, dice.randint(-14, 90))), (None, -1)
                ),
                sown=Column(missing(0.2, days("2024-02-01")), f.ISO, (None, "", "0000-00-00")),
            ),
            table(
                dice,
                "orders",
                orders,
                id=number(),
                plant_no=whole(some_of(range(1, 135))),
                pieces=whole(some_of([1, 2, 3, 5, 10, 25])),
                customer=text(some_of(people(dice, _FIRST, _LAST, 75))),
                placed=given(f.MDY_AMPM),
                picked__up=spelled(hardy),
                remark=text(
                    missing(0.7, one_of(["call first", "gift", "late"])), ("", None, "none")
                ),
            ),
        ],
    )


def boats(dice: Random) -> File:
    """Boats for hire, past and to come, with bills and services: asked in relative words."""
    names = words("Alba Brio Cora Dune Echo Faro Gaia Halo Isla Juno Kite Luna Mira Nova Orca")
    crew = people(dice, _FIRST, _LAST, 130)
    hires = in_order(dice, "out", 1700, days("2025-02-01", "2028-02-01"))
    key = "PRIMARY KEY (id), FOREIGN KEY (boat_id) REFERENCES boats (id)"
    return File(
        "boats",
        "relative",
        [
            table(
                dice,
                "boats",
                [{"boat": name} for name in names],
                "PRIMARY KEY (id)",
                id=number(),
                boat=given(),
                sort=text(one_of(["dinghy", "yacht", "canoe", "motorboat"])),
                seats=whole(one_of([2, 4, 6, 10])),
            ),
            table(
                dice,
                "hires",
                hires,
                key,
                id=number(),
                boat_id=whole(some_of(range(1, 15))),
                skipper=text(some_of(crew)),
                out=given(f.D_MON_Y),
                back=Column(
                    lambda dice, row: row["out"] + timedelta(days=dice.randint(1, 9)), f.D_MON_Y
                ),
                price=whole(lambda dice, row: 5 * dice.randint(16, 220)),
                state=text(some_of(["booked", "booked", "called off", "option"])),
            ),
            table(
                dice,
                "bills",
                in_order(dice, "issued", 900, days("2025-06-01")),
                id=number(),
                skipper=text(some_of(crew)),
                issued=given(f.YMD_SLASH),
                due=Column(
                    lambda dice, row: row["issued"] + timedelta(days=dice.choice([14, 30, 60])),
                    f.YMD_SLASH,
                ),
                euros=real(skewed(260)),
                paid=Column(lambda dice, row: int(dice.random() < 0.85), f.INTEGER),
            ),
            table(
                dice,
                "services",
                in_order(dice, "planned", 500, days("2025-10-01", "2027-10-01")),
                key,
                id=number(),
                boat_id=whole(one_of(range(1, 16))),
                planned=given(f.MDY_SLASH),
                job=text(some_of(["rigging", "engine", "hull", "sails"])),
            ),
        ],
    )


FILES = (
    usedcars,
    energy,
    player,
    doors,
    baby,
    vending,
    library,
    museum,
    parcels,
    nursery,
    boats,
)
