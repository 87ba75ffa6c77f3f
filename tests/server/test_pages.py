"""Pages for people: what they show, to whom, and that nothing of a stranger's runs in them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.server.conftest import Running

from envhub.server import markdown

# After the OWASP cheat sheet on filter evasion, with Markdown's own ways.
VECTORS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//x.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\\x20type=text/javascript>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<img src="x" ONERROR="alert(1)">',
    "<img src=`x` onerror=alert(1)>",
    '<img """><script>alert(1)</script>">',
    "<img src=x:alert(1) onerror=eval(src)>",
    "<img src=javascript:alert(1)>",
    "<img src='vbscript:msgbox(1)'>",
    "<img dynsrc='javascript:alert(1)'>",
    "<img lowsrc='javascript:alert(1)'>",
    "<img src=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><use href='data:image/svg+xml,<svg onload=alert(1)>'></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math href='javascript:alert(1)'>x</math>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<applet code=x></applet>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<form><button formaction=javascript:alert(1)>x</button></form>",
    "<input onfocus=alert(1) autofocus>",
    "<input type=image src onerror=alert(1)>",
    "<select onfocus=alert(1) autofocus></select>",
    "<textarea onfocus=alert(1) autofocus></textarea>",
    "<keygen onfocus=alert(1) autofocus>",
    "<button onclick=alert(1)>x</button>",
    "<body onload=alert(1)>",
    "<body background='javascript:alert(1)'>",
    "<base href='javascript:alert(1)//'>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<meta http-equiv='Set-Cookie' content='a=b'>",
    "<link rel=stylesheet href='javascript:alert(1)'>",
    "<link rel=import href=//x.example/x.html>",
    "<style>@import 'javascript:alert(1)';</style>",
    "<style>body{background:url(javascript:alert(1))}</style>",
    "<style onload=alert(1)></style>",
    "<div style='background:url(javascript:alert(1))'>x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<div onmouseover=alert(1)>x</div>",
    "<p onclick=alert(1)>x</p>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='&#x6A;avascript:alert(1)'>x</a>",
    "<a href='javascript&colon;alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='feed:javascript:alert(1)'>x</a>",
    "<a href='view-source:javascript:alert(1)'>x</a>",
    "<a href='//x.example' target=_blank onclick=alert(1)>x</a>",
    "<a onmouseover=alert(1)>x</a>",
    "<a href=x id=location name=document>x</a>",
    "[x](javascript:alert(1))",
    "[x](JAVASCRIPT:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](java&#115;cript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:alert(1))",
    "[x]: javascript:alert(1)\n\n[x]",
    "![x](javascript:alert(1))",
    '![x](x "onerror=alert(1)")',
    '![x"onerror="alert(1)](x)',
    '[x](x"onclick="alert(1))',
    "<javascript:alert(1)>",
    "`<script>alert(1)</script>`",
    "```<script>\nalert(1)\n```",
    "```html\n<script>alert(1)</script>\n```",
    "    <script>alert(1)</script>",
    "<details ontoggle=alert(1) open>x</details>",
    "<video src=x onerror=alert(1)></video>",
    "<video><source onerror=alert(1)></video>",
    "<video poster=javascript:alert(1)></video>",
    "<audio src=x onerror=alert(1)></audio>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<isindex type=image src=1 onerror=alert(1)>",
    "<table background='javascript:alert(1)'><td>x</td></table>",
    "<td background='javascript:alert(1)'>x",
    "<bgsound src='javascript:alert(1)'>",
    "<layer src='javascript:alert(1)'></layer>",
    "<xss id=x tabindex=1 onfocus=alert(1)></xss>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<title><img src=x onerror=alert(1)></title>",
    "<textarea></textarea><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='javascript:alert(1)'?>",
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "</p><script>alert(1)</script>",
    "<<script>alert(1)//<</script>",
    "<img src=1 href=1 onerror='javascript:alert(1)'></img>",
    "<frameset onload=alert(1)></frameset>",
    "\0<script>alert(1)</script>",
    "<script>alert(1)",
    "<img src='x' onerror\n=\nalert(1)>",
    "<img/onerror=alert(1)/src=x>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
]


class Harm(HTMLParser):
    """Collects what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in markdown._TAGS:
            self.found.append(tag)
        for name, value in attrs:
            scheme = re.sub(r"[\x00-\x20]", "", value or "").lower().partition(":")
            outside = scheme[1] and scheme[0] not in {"http", "https", "mailto"}
            if name.startswith("on") or name in {"style", "srcdoc", "formaction", "id"}:
                self.found.append(name)
            elif name in {"href", "src", "poster"} and outside and "/" not in scheme[0]:
                self.found.append(str(value))


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_runs(vector: str) -> None:
    """Of what a README may hold, only text, pictures and plain links are left."""
    harm = Harm()
    harm.feed(markdown.readme(f"# Title\n\n{vector}\n", "/ada/x/resolve/main"))
    assert harm.found == []


def test_there_are_many() -> None:
    """The corpus is no token one."""
    assert len(set(VECTORS)) >= 100


def test_good_markdown() -> None:
    """What is harmless looks as its author meant it; relative addresses lead to its files."""
    html = markdown.readme(
        "---\ntags: [a]\n---\n# T\n\n| a |\n|---|\n| *b* |\n\n![p](assets/p 1.png)\n"
        "[l](./docs/x.md) [h](#t) [w](https://x.example/) <b>bold</b>\n",
        "/ada/x/resolve/c",
    )
    assert "tags:" not in html
    assert "<td><em>b</em></td>" in html
    assert 'href="/ada/x/resolve/c/./docs/x.md"' in html
    assert 'href="#t"' in html
    assert 'rel="noopener nofollow ugc"' in html
    assert "<b>bold</b>" in html


def test_home(running: Running) -> None:
    """The first page lists and finds repos, a page at a time, with tags to click."""
    for _ in range(50):
        running.new()
    shown = running.get("/")
    assert shown.headers["content-type"].startswith("text/html")
    following = re.search(r'class="next" href="([^"]*)"', shown.text)
    assert following
    second = running.get(following[1].replace("&amp;", "&"))
    names = re.findall(r'class="name" href="([^"]*)"', shown.text + second.text)
    assert len(names) == len(set(names)) > 48
    repo = running.new()
    running.commit(repo, {"README.md": "---\ntags: [wombat, envhub]\n---\nA wombat walks.\n"})
    for query in ("?q=wombat", "?tag=wombat", "?q=walks&tag=envhub"):
        found = running.get(f"/{query}").text
        assert re.findall(r'class="name" href="([^"]*)"', found) == [f"/{repo}"]
    assert "Nothing fits" in running.get("/?q=nosuchthing").text
    evil = running.get("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&tag=%3Cb%3E").text
    assert "<script" not in evil
    assert "<b>×" not in evil


def test_repo_page(running: Running) -> None:
    """A repo's page has its README, a line to copy that is pinned, files, refs and history."""
    repo = running.new()
    files: dict[str, bytes | str | None] = {
        "README.md": "# Hello\n\n<script>alert(1)</script>[x](javascript:alert(1))",
        "env.py": "def make_env():\n    return '<b>'\n",
        "data.raw": bytes(range(256)),
    }
    sha = running.commit(repo, files, summary="<i>evil</i> title").json()["commitOid"]
    running.post(f"/api/models/{repo}/tag/main", {"tag": "v1.0"}, "ada")
    shown = running.get(f"/{repo}").text
    assert f'make_env("{repo}@{sha}", trust_remote_code=True)' in shown
    assert "<h1>Hello</h1>" in shown
    for word in ("<script", '="javascript:', "<i>evil"):
        assert word not in shown
    for link in re.findall(r'href="(/[^"]*)"', shown):
        assert running.get(link.replace("&amp;", "&")).status_code == 200, link
    code = running.get(f"/{repo}/blob/{sha}/env.py").text
    assert "make_env" in code
    assert "'<b>'" not in code
    assert "no text" in running.get(f"/{repo}/blob/main/data.raw").text
    assert running.get(f"/{repo}/tree/v1.0").status_code == 200


def test_refusals_are_pages(running: Running) -> None:
    """Who asks for a page gets one, also when there is nothing to see."""
    hidden = running.new(private=True)
    running.commit(hidden, {"README.md": "secret words"})
    for path, status in ((f"/{hidden}", 401), ("/no/thing", 401), (f"/{hidden}/tree/main", 401)):
        answer = running.get(path)
        assert (answer.status_code, "<h1>401</h1>" in answer.text) == (status, True)
    assert "secret words" in running.get(f"/{hidden}", "ada").text
    assert hidden not in running.get("/").text
    assert running.get(f"/{hidden}/blob/main/none.py", "ada").status_code == 404
    gated = running.new()
    running.commit(gated, {"README.md": "gated words"})
    settings = {"gated": "manual"}
    running.ask("PUT", f"/api/models/{gated}/settings", user="ada", json=settings)
    assert "gated words" not in running.get(f"/{gated}").text
    assert running.get(f"/{gated}/blob/main/README.md").status_code == 401


def test_pages_run_nothing(running: Running) -> None:
    """The pages' own rules allow no script at all, and no frame around them."""
    for path in ("/", "/?q=x", "/no/thing"):
        policy = running.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "<script" not in running.get(path).text
    style = running.get("/static/hub.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in style.text
