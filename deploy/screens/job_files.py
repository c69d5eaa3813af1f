"""What the storage has of a job, on a screen: what was not delivered, the attempts, the result."""

from rich.table import Table
from rich.text import Text

from deploy.screens.tables import number, table, text, whole
from deploy.screens.words import moment, plain, size
from shared.job_files import AttemptFolder, JobFiles, SentInstance, last_words

_MOST = 20  # lines of a table; all are in the JSON
_WELL = ("delivered", "warning", "committed")


def files_screen(files: JobFiles) -> list[Table]:
    found = []
    for destination, sent in files.sent.items():
        if missing := [each for each in sent if each.verdict not in _WELL]:
            found.append(_missing(destination, missing))
    if printed := [attempt for attempt in files.attempts if attempt.output_size]:
        found += [_attempts(files, printed), _last_words(printed[-1])]
    if files.result:
        found.append(_result(files))
    return found


def _missing(destination: str, instances: list[SentInstance]) -> Table:
    missing = table(
        text(f"not delivered to {destination}"),
        *map(whole, ("status", "meaning")),
        number("answers"),
        whole("last"),
    )
    for each in instances[:_MOST]:
        status = each.status or "none"
        answers = str(each.answers)
        missing.add_row(Text(plain(each.file)), status, each.verdict, answers, moment(each.at))
    if len(instances) > _MOST:
        missing.add_row(f"and {len(instances) - _MOST} more")
    return missing


def _attempts(files: JobFiles, printed: list[AttemptFolder]) -> Table:
    attempts = table(*map(whole, ("attempt", "began")), number("printed"), text("to"))
    for each in printed:
        path = str(each.output.relative_to(files.folder))
        attempts.add_row(each.name, moment(each.began), size(each.output_size), path)
    return attempts


def _last_words(attempt: AttemptFolder) -> Table:
    words = table(text(f"last words of attempt {attempt.name}"))
    for line in last_words(attempt):
        words.add_row(Text(plain(line)))
    return words


def _result(files: JobFiles) -> Table:
    count = len(files.result)
    result = table(text(f"result: {count} files, {size(files.result_size)}"), number("size"))
    for file in files.result[:_MOST]:
        result.add_row(Text(plain(file.name)), size(file.size))
    if count > _MOST:
        result.add_row(f"and {count - _MOST} more")
    return result
