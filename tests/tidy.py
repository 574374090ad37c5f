"""The rules behind tests/tidy.sh. To change what is allowed, change a table below."""

import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

# Floors, lowest first: folder -> what it may include besides itself: folders, or a file. The longest
# match counts.
CORE = ["core/base", "core/wire", "core/engine", "core/log", "core/state", "core/node"]
ABI = "core/include"
# What every room of a node may include: what lies below the node, its face, and its desk.
BELOW_NODE = CORE[:5] + [ABI, "core/conf"]
ROOM = BELOW_NODE + ["core/node/node.h", "core/node/desk"]
CATALOG = "core/node/catalog"
FLOORS = {
    "core/base": [],
    "core/wire": CORE[:1],
    "core/engine": CORE[:2],
    "core/log": CORE[:3],
    "core/names": CORE[:2] + ["core/log"],
    "core/state": CORE[:4],
    "core/conf": ["core/base"],
    # What modules may call is what the node does: the two are one floor, and conf lies below it.
    ABI: CORE + ["core/conf"],
    CATALOG: CORE[:5],
    "core/node/desk": BELOW_NODE + ["core/node/node.h"],
    "core/node/host": ROOM + [CATALOG],
    "core/node/consumer": ROOM + [CATALOG],
    "core/node/logs": ROOM,
    "core/node/control": ROOM + ["core/node/logs"],
    "core/node/member": ROOM + [CATALOG, "core/node/host", "core/node/consumer",
                                "core/node/control"],
    "core/node": BELOW_NODE,
    "core/io": CORE + [ABI, "core/conf"],
    "core/embed": CORE[:4] + [ABI, "core/names", "core/io"],
    "core/cli": CORE + [ABI, "core/conf", "core/io"],
    "lite": ["core/base", "core/wire", "core/io"],
    "modules": [ABI, "core/base", "core/wire", "core/names", "core/conf"],
    "dns_processor": [ABI, "core/base", "core/wire", "core/conf"],
    "ngx_hivemind": CORE + [ABI, "core/conf", "core/io"],
    "docs/examples": [],  # as somebody outside would write it: <hivemind/module.h>, <hivemind/log.h>
    "tests": ["core", "lite", "modules", "dns_processor", "ngx_hivemind"],
}

# In these folders a file calls what its floor may include and nothing else, whatever header declares
# it; it includes the header of what it calls; and files do not call each other in circles.
CALLS_DOWN = ["core/node"]

# Engines do not see each other. These headers of core/engine are the common ones: anyone's.
ENGINE_COMMON = ["effect.h", "outbox.h", "disk.h", "ring.h"]

# Banned calls: name of the group, where (folders), except (files), the functions.
PURE = CORE + ["core/names"]
BANNED = [
    ("clock", PURE, [], "time clock clock_gettime gettimeofday timespec_get nanosleep sleep usleep"),
    ("network", PURE, [], "socket bind listen accept accept4 connect send sendto sendmsg sendmmsg"
     " recv recvfrom recvmsg recvmmsg getaddrinfo select poll ppoll epoll_create epoll_create1"
     " epoll_wait"),
    ("files", PURE, [], "open openat creat fopen fdopen freopen fread fwrite read write pread pwrite"
     " fsync fdatasync rename unlink mkdir opendir mmap getenv"),
    ("chance", PURE, [], "rand srand rand_r random srandom drand48 lrand48 getrandom getentropy"
     " arc4random arc4random_buf arc4random_uniform randombytes_buf randombytes_random"
     " randombytes_uniform"),
    ("threads", PURE, [], "pthread_create thrd_create fork vfork system popen execve execvp"),
    ("heap", PURE, ["core/base/memory.c"], "malloc calloc realloc reallocarray aligned_alloc"
     " posix_memalign strdup strndup asprintf vasprintf free"),
    ("unbounded", [""], [], "gets sprintf vsprintf strcpy strcat stpcpy tmpnam mktemp strtok"),
]

FUNCTION_LINES_MAX = 100  # aim at 70
FILE_LINES_MAX = 900      # aim at 400
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
PRIVATE_PATH = re.compile(r"(?<![\w.$}~/-])/(work|home)/\w")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
DEFINITION = re.compile(r"^(?!static\b|typedef\b)[a-z][^;={}()#]*?\b(\w+)\([^;{}]*\)\n\{", re.M)
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])+'", re.S)


def blank(match):
    """Code without comments and literals, each line still where it was."""
    return " " + "\n" * match.group().count("\n")


class Tree:
    """The files of a source tree, read once. Build and hidden folders are not part of it."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.text = {}
        for folder, folders, names in os.walk(self.root):
            top = folder == self.root
            folders[:] = sorted(d for d in folders if (d[0] != "." or d == ".ci")
                                and d not in ("__pycache__", "corpus")
                                and not (top and d.startswith("build")))
            for name in sorted(n for n in names if n != ".git"):
                path = os.path.relpath(os.path.join(folder, name), self.root)
                try:
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        self.text[path] = file.read()
                except (UnicodeDecodeError, FileNotFoundError):
                    pass  # not text, or a dangling link: no rule is about it
        self.c = [p for p in self.text if p.endswith((".c", ".h"))]
        self.code = {p: COMMENT_OR_TEXT.sub(blank, self.text[p]) for p in self.c}
        self.includes = {p: INCLUDE.findall(self.text[p]) for p in self.c}
        self.shell = [p for p, t in self.text.items()
                      if p.endswith(".sh") or re.match(r"#!.*\b(ba)?sh\b", t)]


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def is_under(path, folder):
    """A folder is under itself, and a file too."""
    return folder in ("", path) or path.startswith(folder + "/")


def floor_of(path):
    return max((f for f in FLOORS if is_under(path, f)), key=len, default=None)


def may_see(path, other):
    floor = floor_of(path)
    return is_under(other, floor) or any(is_under(other, below) for below in FLOORS[floor])


def floors(tree):
    for path in tree.c:
        floor = floor_of(path)
        if floor is None:
            yield f"{path}: on no floor; FLOORS in tests/tidy.py lists them"
            continue
        for include in tree.includes[path]:
            beside = os.path.normpath(os.path.join(os.path.dirname(path), include))
            if include not in tree.text and beside in tree.text:
                yield f'{path}: write "{beside}": includes start at the root'
            elif include in tree.text and not may_see(path, include):
                yield f"{path}: {floor} may not include {include}"


def engine_of(path):
    """core/engine/raft_vote.c and core/engine/raft/vote.c are both of the engine raft."""
    return re.split(r"[/_.]", path[len("core/engine/"):])[0]


def engines(tree):
    for path in tree.c:
        if not is_under(path, "core/engine"):
            continue
        for include in tree.includes[path]:
            if is_under(include, "core/engine") and engine_of(include) != engine_of(path):
                if include[len("core/engine/"):] not in ENGINE_COMMON:
                    yield f"{path}: engine {engine_of(path)} may not see {include}"


def circles_of(graph):
    """Each circle of a graph, as text: file -> the files that it leads to."""
    state = {}  # 1 while what it leads to is followed, 2 when done

    def follow(path, trail):
        state[path] = 1
        for other in graph.get(path, []):
            if state.get(other) == 1:
                circle = trail[trail.index(other):] if other in trail else [path]
                yield " -> ".join(circle + [other])
            elif other in graph and other not in state:
                yield from follow(other, trail + [other])
        state[path] = 2

    for path in graph:
        if path not in state:
            yield from follow(path, [path])


def circles(tree):
    yield from circles_of({path: tree.includes[path] for path in tree.c})


def calls_between(tree, folder):
    """file -> {function that it calls: the file of that}, among the sources of a folder."""
    files = [p for p in tree.c if is_under(p, folder) and p.endswith(".c")]
    home = {name: path for path in files for name in DEFINITION.findall(tree.code[path])}
    return {path: {name: home[name] for name in re.findall(r"\b(?<!struct )\w+", tree.code[path])
                   if home.get(name, path) != path} for path in files}


def calls(tree):
    for folder in CALLS_DOWN:
        called = calls_between(tree, folder)
        for path, names in called.items():
            own = path[:-2] + ".h"
            seen = tree.includes[path] + tree.includes.get(own, [])
            for name, other in names.items():
                header = other[:-2] + ".h"
                if not may_see(path, other):
                    yield f"{path}: {floor_of(path)} may not call {name}() of {other}"
                elif header not in seen and re.search(rf"\b{name}\(", tree.code.get(header, "")):
                    yield f"{path}: calls {name}() without including {header}"
        yield from circles_of({path: dict.fromkeys(names.values())
                               for path, names in called.items()})


def calls_in(code, names):
    """(offset, name) of each call, leaving out members and what the file defines for itself."""
    own = set(re.findall(r"^static\b[^;={}()]*?\b(\w+)\(", code, re.M))
    for match in re.finditer(r"(?<![\w.>])(?<!\bstruct )(%s)\s*\(" % "|".join(names), code):
        if match.group(1) not in own:
            yield match.start(), match.group(1)


def banned(group):
    _, folders, exceptions, names = group

    def rule(tree):
        for path in tree.c:
            if path not in exceptions and any(is_under(path, f) for f in folders):
                for at, name in calls_in(tree.code[path], names.split()):
                    yield f"{path}:{line_of(tree.code[path], at)}: {name}() is banned here"

    return rule


def sleeps(tree):
    """Tests wait for a condition: C never sleeps, scripts only in steps of less than a second. A
    bench may let time pass, to count what happens in it."""
    script = re.compile(r"(?<![\w./-])(?:time\.)?sleep(?:\s+|\()(?!\"?0?\.\d)[\w\"'$.]")
    for path, text in tree.text.items():
        if not is_under(path, "tests") or path.startswith(("tests/tidy", "tests/bench/")):
            continue
        if path in tree.code:
            for at, name in calls_in(tree.code[path], ["sleep", "usleep", "nanosleep"]):
                yield f"{path}:{line_of(text, at)}: a test calls {name}()"
        elif path in tree.shell or path.endswith(".py"):
            for number, line in enumerate(text.split("\n"), 1):
                if script.search(line.split("#")[0]):
                    yield f"{path}:{number}: a test sleeps; wait for a condition in steps below 1 s"


def matches(pattern, what):
    def rule(tree):
        for path, text in tree.text.items():
            for match in pattern.finditer(text):
                yield f"{path}:{line_of(text, match.start())}: {what}: {match.group().strip()}"

    return rule


def long_functions(tree):
    """The format puts a function's braces, and no others, in the first column."""
    for path in tree.c:
        start = None
        for number, line in enumerate(tree.text[path].split("\n"), 1):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                if number - start - 1 > FUNCTION_LINES_MAX:
                    yield f"{path}:{start}: a function of {number - start - 1} lines"
                start = None


def long_files(tree):
    for path, text in tree.text.items():
        if path.endswith((".c", ".h", ".py")) or path in tree.shell:
            if text.count("\n") > FILE_LINES_MAX:
                yield f"{path}: {text.count(chr(10))} lines"


def run(tree, command):
    done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.split("\n") if line] or \
        ([f"{command[0]} failed"] if done.returncode else [])


def formatting(tree):
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None:
        return ["clang-format is not installed (./build.sh tidy installs it)"]
    batches = [tree.c[i:i + 16] for i in range(0, len(tree.c), 16)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda b: run(tree, [tool, "--dry-run", "-Werror", "-style=file", *b]),
                         batches)
        lines = [line for lines in found for line in lines
                 if re.match(r"[^\s:]+:\d+:\d+: ", line) or line.endswith(" failed")]
    counts = collections.Counter(line.split(":")[0] for line in lines)
    return [f"{path}: {n} places; run clang-format -i" for path, n in sorted(counts.items())]


def shell(tree):
    for path in tree.shell:
        yield from run(tree, ["bash", "-n", path])


RULES = [
    ("floors", "#include points only down", floors),
    ("engines", "engines do not include each other", engines),
    ("circles", "no includes in circles", circles),
    ("calls", "rooms call down and not in circles", calls),
    *[(f"banned-{group[0]}", "not called here: " + " ".join(group[3].split()[:4]) + " ..",
       banned(group)) for group in BANNED],
    ("sleeps", "tests do not sleep", sleeps),
    ("unfinished", "no notes of unfinished work", matches(UNFINISHED, "unfinished")),
    ("paths", "no paths of one machine", matches(PRIVATE_PATH, "private path")),
    ("functions", f"functions of at most {FUNCTION_LINES_MAX} lines", long_functions),
    ("files", f"files of at most {FILE_LINES_MAX} lines", long_files),
    ("format", "clang-format changes nothing", formatting),
    ("shell", "shell scripts parse", shell),
]


def main():
    tree = Tree(sys.argv[1])
    failed = 0
    for name, what, rule in RULES:
        found = list(rule(tree))
        failed += bool(found)
        print(f"{'FAIL' if found else 'ok':4} {name:16} {what}")
        for line in found:
            print(f"       {line}")
    print(f"tidy: {len(RULES) - failed} rules kept, {failed} broken, {len(tree.text)} files")
    sys.exit(1 if failed else 0)


main()
