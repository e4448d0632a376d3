"""What the site needs beyond MkDocs.

Links out of docs/ lead to copies of the files they name; wide equations scroll on small screens.
The site has an llms.txt, a list of its pages in plain Markdown for programs that read. Every link
within the built site is followed, also those in HTML, and a broken one is a warning, which ends a
strict build. Links to other machines are not followed: a build needs no network.

The explorer's first view is a page of the site. So are the executed notebooks and the report where
`make docs` has made them in build/; without them the site is built in seconds.
"""

import logging
import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mkdocs.structure.files import File

EQUATION = re.compile(r"<math[^>]*display=\"block\".*?</math>", re.DOTALL)
log = logging.getLogger("mkdocs.hooks")
LINK = re.compile(r"\]\(((?:\.\./)+)([^)#\s]+)")


BUILD = Path(__file__).parents[2] / "build"
NOTEBOOKS = {
    "swap_layer": "Swap a layer",
    "probe_gru": "Probe a GRU",
    "reproduce_figure": "Reproduce a figure",
    "explore": "Explore f-I curves",
}


def on_config(config):
    """Put the notebooks and the report into the navigation, where they have been made."""
    made = {title: f"notebooks/{name}.md" for name, title in NOTEBOOKS.items() if _made(name)}
    if made:
        config.nav.append({"Notebooks, executed": [{title: uri} for title, uri in made.items()]})
    if (BUILD / "report" / "index.html").is_file():
        config.nav.append({"The report": "report/index.html"})
    return config


def _made(name):
    return (BUILD / "notebooks" / f"{name}.md").is_file()


def _generated(config):
    """The explorer's first view, the notebooks and the report."""
    from adaptrnn.explore import view

    yield File.generated(config, "assets/explore.html", content=view.first_view())
    for name in filter(_made, NOTEBOOKS):
        path = BUILD / "notebooks" / f"{name}.md"
        yield File.generated(config, f"notebooks/{name}.md", abs_src_path=str(path))
    for path in sorted((BUILD / "report").rglob("*")):
        if path.is_file():
            uri = path.relative_to(BUILD).as_posix()
            yield File.generated(config, uri, abs_src_path=str(path))


def copy_of(path):
    """Where a file of the repository lies in the site; Markdown as text, not as a page."""
    return f"source/{path}.txt" if path.endswith(".md") else f"source/{path}"


def on_files(files, config):
    """Add what is generated, and every file outside docs/ that a page links to."""
    for file in _generated(config):
        files.append(file)
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


def on_post_page(output, page, config):
    """Give the search a name for those who do not see it."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


class Links(HTMLParser):
    """Names that a page defines, and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.names, self.targets = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep names and targets of one element."""
        for key, value in attrs:
            if key == "id" or (key == "name" and tag == "a"):
                self.names.add(value)
            elif key in ("href", "src", "poster") and value is not None:
                self.targets.add(value)


def broken_links(site):
    """Links within a built site that lead nowhere.

    Args:
        site: folder of the site.

    Returns:
        Pairs of a page and a target, sorted; 404.html is left out, since it stands at any address.
    """
    pages = {path.resolve(): Links(path.read_text()) for path in Path(site).rglob("*.html")}
    found = []
    for path, page in pages.items():
        for target in page.targets if path.name != "404.html" else ():
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            file = file / "index.html" if file.is_dir() else file
            anchor = unquote(parts.fragment)
            lost = anchor and file in pages and anchor not in pages[file].names
            if not file.exists() or lost:
                found.append((path.relative_to(Path(site).resolve()).as_posix(), target))
    return sorted(found)


def first_sentence(markdown):
    """The first sentence of a page's text, without links and emphasis; empty if there is none."""
    plain = re.sub(r"^( *)(```|~~~).*?^\1\2", "", markdown, flags=re.DOTALL | re.MULTILINE)
    for block in re.split(r"\n\s*\n", plain):
        text = " ".join(block.split())
        if text and text[0] not in "#|<!-*>[:" and not re.match(r"\d+\. ", text):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
            return re.split(r"(?<=\.)\s", text)[0].rstrip(":")
    return ""


def llms(nav, name, description):
    """The pages of the site with their first sentences, as llmstxt.org describes it."""
    lines = [f"# {name}", "", f"> {description}", ""]

    def pages(items):
        for item in items:
            if item.is_page:
                said = first_sentence(item.markdown or "")
                yield f"- [{item.title}]({item.url})" + (f": {said}" if said else "")

    lines += [*pages(nav.items), ""]
    for section in nav.items:
        if section.is_section:
            lines += [f"## {section.title}", "", *pages(section.children), ""]
    return "\n".join(lines)


def on_nav(nav, config, files):
    """Keep the order of the pages for llms.txt."""
    config.extra["pages"] = nav
    return nav


def on_post_build(config):
    """Write llms.txt, and warn of every link that leads nowhere."""
    text = llms(config.extra["pages"], config.site_name, config.site_description)
    (Path(config.site_dir) / "llms.txt").write_text(text)
    for page, target in broken_links(config.site_dir):
        log.warning("%s: the link to %s leads nowhere", page, target)
