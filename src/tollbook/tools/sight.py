"""Who may see whose calls: decided by what a caller proved about himself, never by what he asks for."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from tollbook.core.caller import Caller
from tollbook.core.errors import TollbookError
from tollbook.core.settings import Setting
from tollbook.spend.sight import EVERYTHING, NOTHING, Pattern, Sight
from tollbook.tools.claims import Grant, Template, read_calls, read_grants


class OutOfSight(TollbookError):
    """What was asked for is not the caller's to see."""


class SightRules(msgspec.Struct, frozen=True, kw_only=True):
    """Who sees what. See `SIGHT_SETTINGS` for each.

    Without any rule, one who proved nothing sees all: then nobody is asked who he is. Where there are rules he sees
    nothing.
    """

    sees_all: tuple[Grant, ...] = ()
    sees_team: tuple[Grant, ...] = ()
    own_calls: tuple[Template, ...] = ()
    team_calls: tuple[Template, ...] = ()

    def sight_of(self, caller: Caller) -> Sight:
        """What `caller` may see."""
        if not caller.is_proven:
            return EVERYTHING if self == SightRules() else NOTHING
        if _any_holds(self.sees_all, caller):
            return EVERYTHING
        own, team = _calls(self.own_calls, caller), _calls(self._team_calls_of(caller), caller)
        if team == _Calls():
            return NOTHING if own == _Calls() else Sight("own", "your own calls", own.principals, own.tags)
        both = _Calls((*own.principals, *team.principals), (*own.tags, *team.tags))
        whose = "your team's calls" if own == _Calls() else "your own calls and your team's"
        return Sight("team", whose, tuple(dict.fromkeys(both.principals)), tuple(dict.fromkeys(both.tags)))

    def sight_to_ask_with(self, caller: Caller) -> Sight:
        """What `caller` may see.

        Raises:
            OutOfSight: that is nothing.
        """
        sight = self.sight_of(caller)
        if sight == NOTHING:
            raise OutOfSight(
                f"You may see no calls: {self.why_nothing(caller)}. Ask whoever runs this server for access."
            )
        return sight

    def why_nothing(self, caller: Caller) -> str:
        """Why `caller` sees nothing, to him, as the end of a sentence."""
        if not caller.is_proven:
            return "you did not prove who you are"
        templates = (*self.own_calls, *self._team_calls_of(caller))
        names = sorted({name for template in templates for name in template.lacks(caller.claims)})
        if not names:
            return "nothing here says which are yours"
        return f"they are found by {', '.join(names)}, of which your login says nothing that can be used"

    def _team_calls_of(self, caller: Caller) -> tuple[Template, ...]:
        return self.team_calls if _any_holds(self.sees_team, caller) else ()


class _Calls(msgspec.Struct, frozen=True):
    principals: tuple[Pattern, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


def _calls(templates: Iterable[Template], caller: Caller) -> _Calls:
    """The calls that `templates` mean where `caller` is meant."""
    filled = [(each.tag, parts) for each in templates if (parts := each.filled(caller.claims)) is not None]
    principals = tuple(Pattern(parts) for tag, parts in filled if not tag)
    return _Calls(principals, tuple((tag, "".join(parts)) for tag, parts in filled if tag))


def _any_holds(grants: Iterable[Grant], caller: Caller) -> bool:
    return any(grant.holds_for(caller) for grant in grants)


def problems_of(rules: SightRules, *, has_login: bool) -> Iterator[str]:
    """What keeps a server from starting with `rules`, each beginning with the settings that it is about.

    Args:
        has_login: whether callers prove who they are.
    """
    labels = {setting.name: setting.label for setting in SIGHT_SETTINGS}
    if not has_login:
        given = [label for name, label in labels.items() if getattr(rules, name)]
        if given:
            yield f"{', '.join(given)}: nobody is asked who he is, so nobody can be told apart. Choose an --auth."
        return
    if not (rules.sees_all or rules.own_calls or (rules.sees_team and rules.team_calls)):
        yield (
            f"{labels['own_calls']} or {labels['sees_all']}: nobody would see any calls. Say which are whose, such as "
            "role/AWSReservedSSO_*/{email}, or who sees all, such as group:finops."
        )
    if rules.sees_team and not rules.team_calls:
        yield f"{labels['team_calls']}: some may see their team's calls, and nothing says which those are."
    if rules.team_calls and not rules.sees_team:
        yield f"{labels['sees_team']}: nobody may see his team's calls. Say who may, such as anyone."


SIGHT_SETTINGS: Final = (
    Setting(
        name="sees_all",
        variable="SEES_ALL",
        metavar="WHO",
        read=read_grants,
        what="who sees everyone's calls: scope:NAME, group:NAME, claim:NAME=VALUE or anyone, separated by commas",
        unset=(),
    ),
    Setting(
        name="sees_team",
        variable="SEES_TEAM",
        metavar="WHO",
        read=read_grants,
        what="who sees his team's calls beside his own, in the same manner",
        unset=(),
    ),
    Setting(
        name="own_calls",
        variable="OWN_CALLS",
        metavar="CALLS",
        read=read_calls(of_one=True),
        what="which calls are a caller's own, by claims of his login: role/AWSReservedSSO_*/{email}, user/{username}, "
        "tag:KEY={claim}, separated by commas",
        unset=(),
    ),
    Setting(
        name="team_calls",
        variable="TEAM_CALLS",
        metavar="CALLS",
        read=read_calls(of_one=False),
        what="which calls are his team's, in the same manner, such as tag:team={custom:team}",
        unset=(),
    ),
)
