"""Which server a word stands for, and what is said of words that stand for none."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tollbook.client.targets import Target, header_of, names_in, target_of, url_of
from tollbook.core.errors import UsageError


def found(text: str, folder: Path, config: Path | None = None, **environment: str) -> Target:
    return target_of(text, environment, folder, config)


def written(path: Path, servers: Mapping[str, Any], key: str = "mcpServers") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({key: servers}))
    return path


def refusal(text: str, folder: Path, config: Path | None = None, **environment: str) -> str:
    with pytest.raises(UsageError) as caught:
        found(text, folder, config, **environment)
    assert str(caught.value).endswith((".", "}."))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://mcp.example.com/mcp", "https://mcp.example.com/mcp"),
        ("https://mcp.example.com", "https://mcp.example.com"),
        ("https://mcp.example.com/mcp?tenant=a", "https://mcp.example.com/mcp?tenant=a"),
        ("localhost", "http://localhost"),
        ("localhost:3000/mcp", "http://localhost:3000/mcp"),
        ("127.0.0.1:3000/mcp", "http://127.0.0.1:3000/mcp"),
        ("127.8.8.8/mcp", "http://127.8.8.8/mcp"),
        ("[::1]:3000/mcp", "http://[::1]:3000/mcp"),
        ("mcp.example.com/mcp", "https://mcp.example.com/mcp"),
        ("localhost.example.com/mcp", "https://localhost.example.com/mcp"),
        ("127.0.0.1.evil.example/mcp", "https://127.0.0.1.evil.example/mcp"),
        ("10.0.0.7:3000/mcp", "https://10.0.0.7:3000/mcp"),
    ],
)
def test_an_address_without_a_scheme_is_http_on_this_machine_and_https_elsewhere(
    tmp_path: Path, text: str, url: str
) -> None:
    assert found(text, tmp_path) == Target(name=text, url=url)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https://ann:hunter2@example.com/mcp", "a user name or a password in it lies about"),
        ("ann:hunter2@example.com/mcp", "a user name or a password in it lies about"),
        ("https://ann:hunter2@exa\u2100mple.com/mcp", "a user name or a password in it lies about"),
        ("https://example.com/mcp#hunter2", "has a fragment"),
        ("https://example.com/mcp#", "has a fragment"),
        ("ftp://example.com/mcp", "by http or https, not by ftp"),
        ("file:///etc/passwd", "by http or https, not by file"),
        ("https://", "names no host"),
        ("https:///mcp", "names no host"),
        ("https://example.com:0/mcp", "names no host"),
        ("https://example.com:99999/mcp", "is no address"),
        ("https://example.com:port/mcp", "is no address"),
        ("https://[::1/mcp", "is no address"),
        ("https://exa mple.com/mcp", "no blanks"),
        ("https://example.com\\@evil.example/mcp", "no blanks, backslashes"),
        ("https://exa\u200bmple.com/mcp", "invisible characters"),
        ("https://example.com/\x1b[2J", "invisible characters"),
        ("stdio:", "needs a command"),
        ("stdio:serve 'it", "no closing quotation"),
    ],
)
def test_an_address_that_is_none_is_refused_and_no_password_is_repeated(tmp_path: Path, text: str, says: str) -> None:
    said = refusal(text, tmp_path)
    assert says in said
    assert "hunter2" not in said or "#" in text


def test_a_command_is_split_as_a_shell_does_and_inherits_what_a_shell_would_give_it(tmp_path: Path) -> None:
    environment = {"PATH": "/bin", "AWS_PROFILE": "dev", "ACCESS_TOKEN": "t", "OAUTH_CLIENT_SECRET": "s"}
    target = target_of("stdio:npx -y 'a server' --flag=\"x y\"", environment, tmp_path)
    assert target.command == ("npx", "-y", "a server", "--flag=x y")
    assert target.environment == {"PATH": "/bin", "AWS_PROFILE": "dev"}
    assert target.url is None


def test_a_file_names_servers_of_both_kinds(tmp_path: Path) -> None:
    config = written(
        tmp_path / "mcp.json",
        {
            "remote": {"type": "http", "url": "https://mcp.example.com/mcp", "headers": {"X-Team": "a"}},
            "local": {"command": "serve", "args": ["--stdio"], "env": {"LEVEL": "debug"}, "cwd": "/srv"},
        },
    )
    remote = Target(name="remote", url="https://mcp.example.com/mcp", headers={"X-Team": "a"})
    assert found("remote", tmp_path) == found("remote", Path("/nowhere"), config) == remote
    local = found("local", tmp_path, PATH="/bin", HOME="/h", AWS_PROFILE="k")
    assert (local.command, local.folder) == (("serve", "--stdio"), "/srv")
    assert local.environment == {"PATH": "/bin", "HOME": "/h", "LEVEL": "debug"}


def test_the_first_file_that_knows_a_name_counts(tmp_path: Path) -> None:
    for place, name in enumerate((".mcp.json", "mcp.json", ".vscode/mcp.json", ".cursor/mcp.json")):
        key = "servers" if "vscode" in name else "mcpServers"
        written(
            tmp_path / name, {"every": {"url": f"https://{place}.example"}, f"only{place}": {"url": "https://x.y"}}, key
        )
    assert found("every", tmp_path).url == "https://0.example"
    assert found("only2", tmp_path).url == "https://x.y"
    assert names_in(tmp_path) == ["every", "only0", "only1", "only2", "only3"]
    elsewhere = written(tmp_path / "more" / "list.json", {"every": {"url": "https://more.example"}})
    assert found("every", tmp_path, elsewhere).url == "https://more.example"
    assert names_in(tmp_path, elsewhere) == ["every"]


def test_no_file_that_lies_in_a_folder_decides_where_an_address_leads(tmp_path: Path) -> None:
    names = ("localhost", "localhost:3000/mcp", "mcp.example.com", "https://mcp.example.com/mcp", "stdio:serve")
    config = written(tmp_path / ".mcp.json", {name: {"command": "evil"} for name in names})
    assert not any("evil" in found(name, tmp_path).command for name in names)
    assert found("mcp.example.com", tmp_path, config).command == ("evil",), "it was named by its user"


def test_variables_stand_for_what_the_environment_holds(tmp_path: Path) -> None:
    written(
        tmp_path / ".mcp.json",
        {
            "remote": {
                "url": "https://${HOST}/mcp",
                "headers": {"Authorization": "Bearer ${env:KEY}", "X-Region": "${REGION:-eu-west-1}"},
                "note": "${UNSET} is not read",
            },
            "local": {"command": "${workspaceFolder}/serve", "args": ["$HOST", "${HOST}"], "env": {"A": "${KEY}"}},
        },
    )
    remote = found("remote", tmp_path, HOST="mcp.example.com", KEY="k")
    assert remote.url == "https://mcp.example.com/mcp"
    assert remote.headers == {"Authorization": "Bearer k", "X-Region": "eu-west-1"}
    local = found("local", tmp_path, HOST="h", KEY="${HOST}")
    assert local.command == (f"{tmp_path}/serve", "$HOST", "h")
    assert local.environment == {"A": "${HOST}"}, "what a variable holds is not read again"


def test_comments_and_a_last_comma_are_read_as_editors_let_them_stand(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(
        '\ufeff{ // ours\n"servers": {"a": {"url": "https://a.example//mcp?x=,]", /* b: "c" */ },}, }', encoding="utf-8"
    )
    assert found("a", tmp_path).url == "https://a.example//mcp?x=,]"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            {"url": "https://a.example", "headers": {"A": "${UNSET}"}},
            ".mcp.json: it.headers.A: the variable UNSET is not",
        ),
        ({"command": "a", "args": ["b", "${env:UNSET}"]}, ".mcp.json: it.args[1]: the variable UNSET is not set"),
        (
            {"url": "https://a.example", "headers": {"A": "${input:key}"}},
            "it.headers.A: ${input:key} is asked for by VS",
        ),
        ({}, '.mcp.json: it: an entry has either a "url" or a "command"'),
        ({"command": "a", "url": "https://a.example"}, 'it: an entry has either a "url" or a "command"'),
        ({"type": "sse", "url": "https://a.example"}, 'it.type: "sse" is not spoken here'),
        (
            {"type": "http", "command": "a"},
            'it.type: "http" is not spoken here; what has a "command" is of the type "stdio"',
        ),
        ({"url": "https://u:hunter2@a.example"}, "it: An address with a user name or a password"),
        ({"url": "ws://a.example"}, ".mcp.json: it: Servers are reached by http or https"),
        ({"url": 3}, ".mcp.json: it.url: "),
        ({"command": "a", "args": ["b", 3]}, ".mcp.json: it.args[1]: "),
        ({"command": "a", "env": {"B": True}}, ".mcp.json: it.env"),
        ({"url": "https://a.example", "headers": {"A b": "c"}}, "it: A header is called by letters"),
        (
            {"url": "https://a.example", "headers": {"A": "c\r\nd: hunter2"}},
            "The value of the header A must be one line",
        ),
        ("https://a.example", ".mcp.json: it: "),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path: Path, entry: Any, says: str) -> None:
    written(tmp_path / ".mcp.json", {"other": {"url": "https://b.example"}, "it": entry})
    said = refusal("it", tmp_path)
    assert says in said
    assert "hunter2" not in said
    assert found("other", tmp_path).url == "https://b.example"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "Cannot read"),
        ("[" * 5000, "Cannot read"),
        ("\udcff", "Cannot read"),
        (" " * (1 << 20) + "{}", "it is longer than a list of servers is"),
        ("[]", "is no list of servers"),
        ("{}", "is no list of servers"),
        ('{"mcpServers": []}', "is no list of servers"),
        ('{"mcpServers": {}}', "only an empty list"),
    ],
)
def test_a_file_that_is_no_list_of_servers_is_named(tmp_path: Path, content: str, says: str) -> None:
    config = tmp_path / "mcp.json"
    config.write_text(content, encoding="utf-8", errors="surrogateescape")
    said = refusal("it", tmp_path)
    assert says in said
    assert str(config) in said
    assert names_in(tmp_path) == []


def test_a_name_that_nobody_knows_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    assert "(.mcp.json, mcp.json, .vscode/mcp.json, .cursor/mcp.json) names a server 'it'" in refusal("it", tmp_path)
    assert "no such file" in refusal("it", tmp_path, tmp_path / "none.json")
    written(tmp_path / "mcp.json", {f"server{number}": {"url": "https://a.example"} for number in range(40)})
    said = refusal("it", tmp_path)
    assert "only server0, server1, " in said
    assert "…" in said
    assert "server39" not in said


def test_a_header_is_a_name_and_a_value_on_one_line() -> None:
    assert header_of("X-Team: a: b ") == ("X-Team", "a: b")
    assert header_of("X-Empty:") == ("X-Empty", "")
    for text in ("hunter2", ": hunter2", "A b: hunter2", "A: hunter2\r\nB: c", "A: \u4f60hunter2", "A: hunter2\0"):
        with pytest.raises(UsageError) as caught:
            header_of(text)
        assert "hunter2" not in str(caught.value)


def test_an_address_stays_as_it_was_written() -> None:
    assert url_of("https://EXAMPLE.com:443/%2e/a/../mcp/?b=c") == "https://EXAMPLE.com:443/%2e/a/../mcp/?b=c"
