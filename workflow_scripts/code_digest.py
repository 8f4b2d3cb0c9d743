"""A digest of the code that a command runs, for rules: Snakemake does not see what a command imports."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(__file__).resolve().parent.name


def code_digest(*modules: str) -> str:
    """First 16 hex digits of a sha256 over the syntax trees of modules and of all that they import from the package.

    Comments, docstrings and layout are not part of a syntax tree, so that editing them changes nothing.

    Args:
        modules: dotted names such as `workflow_scripts.data.filter_pairs`.

    Raises:
        ValueError: a module does not exist or does not parse.
    """
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(_imports(module))
    text = "\n".join(f"{module} {_tree_digest(module)}" for module in sorted(reached))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _path(module: str) -> Path | None:
    base = ROOT / Path(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ValueError(f"There is no module {module} in {ROOT}; a rule names a program that does not exist.")
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise ValueError(f"{path} is not valid Python (line {error.lineno}: {error.msg}).") from error


@cache
def _tree_digest(module: str) -> str:
    tree = _tree(module)
    _strip_docstrings(tree)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The package's own modules that a module names in an import statement anywhere in it."""
    found = set()
    for node in _statements(_tree(module)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} uses a relative import; the package imports by full names only"
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        found.update(name for name in names if name.split(".")[0] == PACKAGE and _path(name) is not None)
    parents = {module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)}
    return tuple(sorted(found | parents))


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree and the statements in it, however deep: imports and docstrings stand in no expression.

    `ast.walk` goes through all expressions too, which takes most of the time of reading the rules.
    """
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting.extend(getattr(node, block, ()))


def _strip_docstrings(tree: ast.AST) -> None:
    for node in _statements(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
