"""The sample library's fictional names: genres, artists, albums, titles.

Every name is invented. The n-th artist of a seed is always the same, and no two share a
name, not even when accents, case and punctuation are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Genre:
    """One genre, and what is typical of its music."""

    name: str
    mood: str  # the templates it uses
    tempo: tuple[int, int]  # beats per minute
    years: tuple[int, int]
    minor: float  # share of pieces in a minor key


GENRES = (
    Genre("Rock", "drive", (108, 148), (1968, 2023), 0.4),
    Genre("Jazz", "tone", (84, 180), (1952, 2019), 0.5),
    Genre("Ambient", "calm", (58, 84), (1978, 2023), 0.5),
    Genre("Techno", "drive", (124, 142), (1990, 2023), 0.8),
    Genre("Folk", "tone", (76, 118), (1961, 2022), 0.3),
    Genre("Metal", "dark", (96, 190), (1981, 2023), 0.9),
    Genre("Hip-Hop", "dark", (80, 104), (1986, 2023), 0.7),
    Genre("Chamber Music", "calm", (52, 120), (1958, 2021), 0.4),
    Genre("Soul", "tone", (72, 112), (1963, 2016), 0.4),
    Genre("Drum and Bass", "drive", (168, 178), (1993, 2023), 0.8),
    Genre("Dream Pop", "calm", (88, 124), (1984, 2022), 0.3),
    Genre("Doom", "dark", (48, 74), (1974, 2022), 1.0),
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_GIVEN = _words(
    "Ada Bruno Clara Dario Edda Felix Greta Hugo Ines Jonas Karin Leon Mara Nils Olive Pavel "
    "Quentin Rhea Silas Tilda Ursin Vera Wanda Xaver Yara Zeno"
)
_FAMILY = _words(
    "Abendrot Birkholt Cranfell Dunmore Elswick Farrow Glenholm Harrowgate Inkwell Jessop "
    "Kestrel Lindqvane Marlowe Northgate Oakhurst Pellworm Quillfeather Ravensbeck Sandmere "
    "Thornbury Underhill Vantreight Westerlund Yarrowby Zephyrin Ashgrove Bramwell Copperfield "
    "Drossel Everlane"
)
_ADJECTIVE = _words(
    "Amber Broken Crimson Distant Electric Frozen Golden Hollow Idle Jagged Kindred Lunar "
    "Marble Neon Oblique Paper Quiet Rusted Silver Tidal Umber Velvet Wandering Yonder "
    "Burning Copper Dusty Endless"
)
_NOUN = _words(
    "Anchor Beacon Compass Driftwood Ember Feather Garden Harbour Island Junction Kite Lantern "
    "Meadow Needle Orchard Pendulum Quarry River Signal Thicket Umbrella Valley Willow "
    "Yard Zenith Bridge Canyon Delta"
)
_NORTHERN_GIVEN = _words(
    "Bjørg Åse Sölvi Þóra Jökull Łucja Žofie Çağla Élodie Nuño Øystein Brûna Ștefan Ýmir"
)
_NORTHERN_FAMILY = _words(
    "Hrafnsdóttir Ljósberg Sørvåg Dvořánek Żurawska Fjällström Peñaluz Gümüşay Beaufrêne "
    "Østhavn Mäkiranta Kővágó Tănăsoiu Ærøskov"
)

# script → (given names, family names, words); joined by a space, Japanese without
SCRIPTS = {
    "Japanese": (
        _words("彩音 陽菜太 光一郎 月乃 奏汰 雪路 千紘 冬馬"),
        _words("星野川 白鳥沢 霧島田 風早森 夏目坂 海老原 緑川野 鈴鹿山"),
        _words("夜の海 ひかり 東京の雨 さくら道 遠い声 銀河鉄路 静かな朝 カモメ"),
    ),
    "Cyrillic": (
        _words("Злата Мирон Ярослава Глеб Варвара Тихон Ульяна Демьян"),
        _words("Снегирёва Полярный Звездина Берёзкин Туманова Журавлин Лунёва Ветров"),
        _words("Снег Тишина Река Поезд Ночной город Весна Дорога Эхо"),
    ),
    "Greek": (
        _words("Ανθή Ορφέας Λυδία Φοίβος Ίριδα Νέστωρ Δάφνη Κίμων"),
        _words("Θαλασσινός Αστεριάδη Πελαγίδης Ουρανού Ανεμάκης Φεγγαρίδη Βροχάκης Ηλιάδου"),
        _words("Θάλασσα Νύχτα Άνεμος Φεγγάρι Σιωπή Καλοκαίρι Δρόμος Φως"),
    ),
    "Arabic": (
        _words("نجمة سامر ليان رامي هالة زياد مها كنان"),
        _words("البحري النجمي القمري الصحراوي الغيمي النهري الفجري الريحاني"),
        _words("ليل بحر قمر طريق مطر صمت نور ريح"),
    ),
    "Hebrew": (
        _words("נועם שירה אורי תמר גיל ענבל איתן ליאור"),
        _words("כוכבי ירחי ימימה שחרוני הרדוף סערוני נחלי אלמוג"),
        _words("לילה ים ירח דרך גשם שקט אור רוח"),
    ),
    "Korean": (
        _words("하늘 바다 은별 이슬 노을 가람 새벽 다온"),
        _words("청솔 별하 달무리 꽃샘 눈꽃 물결 바람골 해솔"),
        _words("밤바다 첫눈 봄비 별빛 오래된 길 새벽 기차 고요 바람"),
    ),
}
_SCRIPT_ORDER = tuple(SCRIPTS)

_COMPOSER_GIVEN = _words("Aurelio Benedikt Cosima Desmond Elwira Florian Gideon Hortensia")
_COMPOSER_FAMILY = _words(
    "Vandermeulen Castellorizo Rosenquartz Lichtenauer Montefalcone Przybysław Sauvageot "
    "Winterbottom"
)
_LABELS = ("Paper Moon Records", "Tonwerk Süd", "Low Tide Music", "Sixth Floor", "Étoile Filante")


@dataclass(frozen=True, slots=True)
class Artist:
    """One fictional artist of one genre; ``script`` is "Latin" or a key of SCRIPTS."""

    name: str
    sort_name: str
    genre: Genre
    script: str


def artist(seed: int, number: int) -> Artist:
    """Return the artist of this number, 0 or more; genres take turns."""
    genre = GENRES[number % len(GENRES)]
    # The kind of name depends on the whole round, so that every genre meets every kind.
    kind, count = (number + number // 10) % 10, number // 10
    if kind < 4:
        given, family, again = _pick(seed, _GIVEN, _FAMILY, count * 4 + kind)
        return Artist(f"{given} {family}{again}", f"{family}{again}, {given}", genre, "Latin")
    if kind < 7:
        first, second, again = _pick(seed, _ADJECTIVE, _NOUN, count * 3 + kind - 4)
        band = f"{first} {second}s{again}"
        return Artist(f"The {band}", f"{band}, The", genre, "Latin")
    if kind < 9:
        given, family, again = _pick(seed, _NORTHERN_GIVEN, _NORTHERN_FAMILY, count * 2 + kind - 7)
        return Artist(f"{given} {family}{again}", f"{family}{again}, {given}", genre, "Latin")
    script = _SCRIPT_ORDER[count % len(_SCRIPT_ORDER)]
    given_names, family_names, _words = SCRIPTS[script]
    given, family, again = _pick(seed, given_names, family_names, count // len(_SCRIPT_ORDER))
    name = f"{family}{given}{again}" if script == "Japanese" else f"{given} {family}{again}"
    return Artist(name, name, genre, script)


def _pick(
    seed: int, first: tuple[str, ...], second: tuple[str, ...], number: int
) -> tuple[str, str, str]:
    """Return the pair of this number in an order of the seed's; a third part when all are used."""
    size = len(first) * len(second)
    # 7919 is a prime that divides no such size, so the steps visit every pair once.
    place = (number * 7919 + seed * 31) % size
    again = f" {number // size + 1}" if number >= size else ""
    return first[place % len(first)], second[place // len(first)], again


def composer(rng: random.Random) -> str:
    """Return one of 64 composers, none of whom is an artist."""
    return f"{rng.choice(_COMPOSER_GIVEN)} {rng.choice(_COMPOSER_FAMILY)}"


def label(rng: random.Random) -> str:
    """Return a record label."""
    return rng.choice(_LABELS)


def album_title(script: str, seed: int, number: int) -> str:
    """Return an album's title; those of neighbouring numbers differ."""
    if script != "Latin":
        words = SCRIPTS[script][2]
        return words[(seed + number) % len(words)] + f" {number // len(words) + 1}"
    noun = _NOUN[(seed + number) % len(_NOUN)]
    adjective = _ADJECTIVE[(seed + number * 5) % len(_ADJECTIVE)]
    forms = ("{a} {n}", "The {n} Years", "{n}s at Dawn", "Live at the {n}", "{a} {n}: Remixes")
    return forms[number % len(forms)].format(a=adjective, n=noun)


def track_title(script: str, rng: random.Random) -> str:
    """Return a track's title, now and then with signs that trouble careless programs."""
    if script != "Latin":
        return f"{rng.choice(SCRIPTS[script][2])} {rng.choice(SCRIPTS[script][2])}"
    form = rng.choice(
        (
            "{a} {n}",
            "{a} {n}",
            "{n} and {m}",
            "Under the {n}",
            "Letter to {g}",
            "{g}'s {n}",
            "No {n} Without {m}",
            "{n}, Pt. {i}",
            "Don't Wake the {n}",
            'Song for "{g}"',
            "{i}0% {a}",
            "{a} {n} (Demo)",
            "Where Is {g}?",
            "Él {n} de Ámbar",
            "{n} 🌙",
        )
    )
    return form.format(
        a=rng.choice(_ADJECTIVE),
        n=rng.choice(_NOUN),
        m=rng.choice(_NOUN),
        g=rng.choice(_GIVEN),
        i=rng.randint(1, 9),
    )
