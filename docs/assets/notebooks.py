"""Run a notebook of examples/ and write it, with what it shows, as a page of the site.

    python docs/assets/notebooks.py examples/probe_gru.py build/notebooks/probe_gru.md

Controls are left out: they need the notebook itself.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONTROL = "*A control stands here; open the notebook to move it.*"


def run(notebook):
    """The notebook as Jupyter's JSON, with the outputs of every cell.

    Args:
        notebook: path of a marimo notebook.

    Returns:
        The value of the JSON.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notebook.ipynb"
        copy = shutil.copy(notebook, folder)  # marimo leaves a folder next to what it runs
        words = ["export", "ipynb", str(copy), "-o", str(path)]
        words += ["--sort", "top-down", "--include-outputs", "--no-sandbox"]
        subprocess.run([sys.executable, "-m", "marimo", "-q", *words], check=True)
        return json.loads(path.read_text(encoding="utf-8"))


def markdown(found, name):
    """A page for the site.

    Args:
        found: what `run` returns.
        name: of the notebook's file.

    Returns:
        Markdown; the notebook's first heading is that of the page.
    """
    texts = ["".join(cell["source"]) for cell in found["cells"]]
    kinds = [cell["cell_type"] for cell in found["cells"]]
    first = kinds.index("markdown")  # cells with imports before it go below it
    order = [first, *(k for k in range(len(texts)) if k != first)]
    parts = []
    for k in order:
        if kinds[k] == "markdown":
            parts.append(texts[k])
        else:
            parts.append(f"```python\n{texts[k].strip()}\n```")
            parts += [shown(output) for output in found["cells"][k].get("outputs", [])]
        if k == first:
            parts.append(
                f"*This is the notebook [{name}](../../examples/{name}), executed when the site "
                f"was built. `marimo edit examples/{name}` opens it.*"
            )
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(output):
    """One output of a cell as Markdown."""
    if output["output_type"] == "error":
        raise RuntimeError(f"a cell of the notebook failed: {output.get('evalue')}")
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).strip()}\n```"
    data = output.get("data", {})
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    html = "".join(data.get("text/html", ""))
    if "<marimo-" in html:
        return CONTROL
    if html and "<" not in html:
        return ""  # the value of a table to click in, which is printed above it
    if not html:
        plain = "".join(data.get("text/plain", "")).strip()
        return f"```text\n{plain}\n```" if plain else ""
    html = re.sub(r"<img (?![^>]*alt=)", '<img alt="what the cell above draws" ', html)
    # one block of HTML: a blank line would end it
    flat = re.sub(r"\n\s*", " ", html)
    return f'<div class="output">{flat}</div>'


def main():
    """Run one notebook."""
    notebook, page = map(Path, sys.argv[1:])
    text = markdown(run(notebook), notebook.name)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
