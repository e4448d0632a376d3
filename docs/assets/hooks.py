"""What the site needs beyond MkDocs.

Links out of docs/ lead to copies of the files they name; wide equations scroll on small screens.
"""

import re
from pathlib import Path, PurePosixPath

from mkdocs.structure.files import File

EQUATION = re.compile(r"<math[^>]*display=\"block\".*?</math>", re.DOTALL)
LINK = re.compile(r"\]\(((?:\.\./)+)([^)#\s]+)")


def copy_of(path):
    """Where a file of the repository lies in the site; Markdown as text, not as a page."""
    return f"source/{path}.txt" if path.endswith(".md") else f"source/{path}"


def on_files(files, config):
    """Add every file outside docs/ that a page links to."""
    docs = Path(config.docs_dir).resolve()
    for page in list(files.documentation_pages()):
        for up, path in LINK.findall(page.content_string):
            target = ((docs / page.src_uri).parent / up / path).resolve()
            if target.is_file() and docs not in target.parents:
                uri = copy_of(target.relative_to(docs.parent).as_posix())
                if uri not in files.src_uris:
                    files.append(File.generated(config, uri, abs_src_path=str(target)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn these links to the copies."""
    depth = len(PurePosixPath(page.file.src_uri).parent.parts)

    def turn(link):
        uri = copy_of(link[2])
        if link[1].count("../") == depth + 1 and files.get_file_from_path(uri):
            return "](" + "../" * depth + uri
        return link[0]

    return LINK.sub(turn, markdown)


def on_page_content(html, page, config, files):
    """Put each displayed equation into a box that scrolls."""
    return EQUATION.sub(r'<div class="equation">\g<0></div>', html)
