"""One clear message on failure, new lines across rotations."""

import threading
from pathlib import Path
from types import SimpleNamespace

from plugins.callback import lifecycle


def test_the_message_loses_what_ansible_puts_around_it() -> None:
    answer = {"msg": "Task failed: Module failed: port 5001 is taken", "exception": "Traceback"}
    assert lifecycle.message_of(answer) == "port 5001 is taken"
    assert lifecycle.message_of({}) == "failed without a message"


def test_what_a_command_wrote_is_part_of_the_message() -> None:
    answer = {"msg": "non-zero return code", "stderr": "no such file\n"}
    assert lifecycle.message_of(answer) == "non-zero return code\nno such file"


def node(name: str, parent: object = None, rescue: tuple[object, ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(_uuid=name, _parent=parent, rescue=rescue)


def test_a_failure_that_is_rescued_is_told_from_one_that_is_not() -> None:
    block = node("block", rescue=(node("go back"),))
    assert lifecycle.is_rescued(node("breaks", block))
    assert not lifecycle.is_rescued(node("plain", node("no rescue")))


def test_a_failure_in_a_file_that_the_rescue_includes_is_shown() -> None:
    block = node("block", rescue=(node("go back"),))
    include = node("go back", block)  # a copy of what stands in the rescue, as at run time
    assert not lifecycle.is_rescued(node("say why", include))


def test_names_are_short() -> None:
    task = SimpleNamespace(action="ansible.builtin.debug", get_name=lambda: "kafka : Wait")
    assert lifecycle.short_action(task) == "debug"
    assert lifecycle.step_name(task) == "kafka: Wait"


def test_following_survives_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    lines = lifecycle.new_lines({"a | ": str(log)})
    # What is there when it begins to look is not new; so the first line must come later.
    threading.Timer(0.3, log.write_text, ["old\nfirst\nhalf"]).start()
    assert next(lines) == ("a | ", "first")
    log.rename(tmp_path / "a.log.1")
    log.write_text("second\n")
    assert next(lines) == ("a | ", "second")
