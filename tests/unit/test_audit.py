"""The audit tells a finding from a clean answer, and both from no answer."""

import json

from tests.audit import read_npm, read_pip


def test_findings_of_pip_audit_name_the_version_that_mends_them() -> None:
    answer = {
        "dependencies": [
            {"name": "sound", "version": "1.0", "vulns": []},
            {
                "name": "weak",
                "version": "2.0",
                "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "PYSEC-2"}],
            },
            {"name": "unheard-of", "skip_reason": "not found"},
        ]
    }
    audit = read_pip("lock", json.dumps(answer))
    assert (audit.checked, audit.unknown, audit.fault) == (2, 1, None)
    assert audit.findings == [
        "weak 2.0: PYSEC-1, fixed in 2.1",
        "weak 2.0: PYSEC-2, fixed in no version yet",
    ]
    assert "1 NOT CHECKED" in audit.render()


def test_no_answer_is_never_a_clean_one() -> None:
    for read in (read_pip, read_npm):
        for answer in ("", "[]", "{}", '{"message": "405 Method Not Allowed"}'):
            audit = read("lock", answer)
            assert audit.fault
            assert "NOT CHECKED" in audit.render()


def test_findings_of_npm_are_counted() -> None:
    answer = {
        "vulnerabilities": {"weak": {"severity": "high", "range": "<2"}},
        "metadata": {"dependencies": {"total": 3}},
    }
    audit = read_npm("lock", json.dumps(answer))
    assert (audit.checked, audit.findings) == (3, ["weak: high, in <2"])
