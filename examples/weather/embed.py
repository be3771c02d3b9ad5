"""Write weather.py and the compressed data into flow.yaml: `python examples/weather/embed.py` after each change."""

import base64
import gzip
import textwrap
from pathlib import Path

HERE = Path(__file__).parent


def source() -> dict[str, str]:
    """Return the files that the Flow brings, by path."""
    packed = base64.b64encode(gzip.compress((HERE / "data" / "seattle-temps.csv").read_bytes(), 9, mtime=0)).decode()
    return {
        "weather.py": (HERE / "weather.py").read_text(),
        "seattle-temps.csv.gz.b64": "\n".join(textwrap.wrap(packed, 120)) + "\n",
    }


def main() -> None:
    """Replace what is between `files:` and `tasks:` in flow.yaml."""
    path = HERE / "flow.yaml"
    before, rest = path.read_text().split("    files:\n", 1)
    after = rest[rest.index("\n  tasks:\n") + 1 :]
    files = "".join(
        f"    - path: {name}\n      content: |\n{textwrap.indent(content, ' ' * 8)}"
        for name, content in source().items()
    )
    path.write_text(f"{before}    files:\n{files}{after}")


if __name__ == "__main__":
    main()
