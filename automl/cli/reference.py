"""Write the command line reference in Markdown from the help pages: `python -m automl.cli.reference`."""

from __future__ import annotations

import click

from automl.cli.group import root

_WIDTH = 100
_HEAD = """# Command line

`make docs` generates this page from the help pages, and a test compares the two.

Exit codes: 0 done, 1 something failed, 2 wrong usage or input (nothing was written), 3 the model of `fit` or
`resume` is not usable (no better than the trivial answer), 130 stopped with Ctrl-C before there was a model to
deliver, 141 the reader of the output (`head`, `less`) went away, which is silent and ends no study. Errors are one
line on stderr that begins with `automl:`; `--verbose` adds the traceback.

Tab completes commands, options, studies, search spaces, metrics and tasks once the shell is told. For bash, add
`eval "$(_AUTOML_COMPLETE=bash_source automl)"` to `~/.bashrc`; for zsh, the same with `zsh_source` to `~/.zshrc`; for
fish, `_AUTOML_COMPLETE=fish_source automl | source` to `~/.config/fish/completions/automl.fish`.
"""


def reference() -> str:
    """Return the help pages of all commands, in the order of `automl --help`, as one Markdown document."""
    parts = [_HEAD, _page(root, None, "automl")]
    context = click.Context(root, info_name="automl")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None:
            parts.append(_page(command, context, name))
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=context)
            parts.extend(_page(below, inner, key) for key, below in command.commands.items())
    return "\n".join(parts)


def _page(command: click.Command, parent: click.Context | None, name: str) -> str:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    context.terminal_width = _WIDTH
    return f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    print(reference(), end="")
