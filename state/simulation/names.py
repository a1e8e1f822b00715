"""What the things of the simulated shop are called."""

from typing import Final

DEPARTMENTS: Final = (
    "tent boots backpack lantern compass stove hammock thermos poncho rope",
    "pan kettle knife mug bowl toaster grater tray whisk blender",
    "lamp sofa rug mirror curtain shelf pillow vase clock candle",
    "desk pen notebook stapler chair planner calculator folder ruler marker",
    "jacket shirt jeans dress sweater skirt coat hat scarf socks",
    "sneaker sandal loafer handbag wallet suitcase belt umbrella slipper purse",
    "racket ball skates dumbbell mat helmet goggles paddle glove bike",
    "phone laptop camera tablet speaker headphones keyboard mouse monitor charger",
    "puzzle doll kite blocks drone robot marbles yoyo teddy train",
    "spade hose planter seeds rake mower bench gnome trellis bucket",
    "perfume soap lipstick brush comb razor lotion shampoo towel sponge",
    "guitar piano drum violin flute novel atlas comic cookbook diary",
)
"""Categories of a department are near each other."""

_NOUNS: Final = tuple(tuple(department.split()) for department in DEPARTMENTS)
_FIRST: Final = ("Nor", "Vel", "Kas", "Ald", "Bri", "Sol", "Tor", "Lum", "Fen", "Mar", "Ost", "Hal")
_LAST: Final = ("dal", "ora", "vik", "ello", "ane", "wood", "berg", "ity", "mark", "ion")


def department_of(category: int) -> int:
    """Department of the category with this index."""
    return category % len(_NOUNS)


def category_name(category: int) -> str:
    """Unique name of the category with this index: a noun, with a number once the nouns are used up.

    Examples:
        >>> category_name(0), category_name(1), category_name(120)
        ('tent', 'pan', 'tent2')
    """
    nouns = _NOUNS[department_of(category)]
    again, noun = divmod(category // len(_NOUNS), len(nouns))
    return nouns[noun] + (str(again + 1) if again else "")


def brand_name(brand: int) -> str:
    """Unique name of the brand with this index.

    Examples:
        >>> brand_name(0), brand_name(13), brand_name(120)
        ('Nordal', 'Velora', 'Nordal2')
    """
    again, name = divmod(brand, len(_FIRST) * len(_LAST))
    last, first = divmod(name, len(_FIRST))
    return _FIRST[first] + _LAST[last] + (str(again + 1) if again else "")
