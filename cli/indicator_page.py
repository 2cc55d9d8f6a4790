"""Write `docs/indicators.md` anew: `python -m cli.indicator_page`, or `make docs`."""

from pathlib import Path

from indicators.page import indicator_page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "indicators.md"


def main() -> None:
    """Write the page where it belongs."""
    PAGE.write_text(indicator_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
