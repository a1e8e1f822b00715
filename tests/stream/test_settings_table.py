import re

from stream.config import Settings, load_settings
from stream.settings_table import settings_table


def test_the_table_has_a_described_row_for_every_setting() -> None:
    rows = settings_table(load_settings(inputs="clicks,purchases"))
    assert len(rows) == len(Settings.model_fields)
    assert all(row.description for row in rows)
    table = {row.env: row for row in rows}
    assert table["FRESHSLATE_INPUTS"][1:4] == ("clicks,purchases", "events", "topics")
    assert table["FRESHSLATE_INSTANCE_ID"].value == ""
    assert table["FRESHSLATE_KAFKA_SASL_MECHANISM"].description.startswith("[PLAIN | SCRAM-SHA-256 | ")
    assert table["FRESHSLATE_LOG_LEVEL"].description.startswith("[debug | info | warning | error] ")
    (row,) = (row for row in rows if row.env == "FRESHSLATE_SOURCES")
    assert (row.value, row.default) == ("", "")


def test_every_number_has_a_unit_and_every_name_with_a_unit_agrees() -> None:
    rows = settings_table(load_settings())
    for row in rows:
        if re.fullmatch(r"[\d.]+", row.default):
            assert row.unit, row.env
        assert row.env.endswith("_SECONDS") == (row.unit == "s"), row.env
        assert row.env.endswith("_BYTES") == (row.unit == "bytes"), row.env
