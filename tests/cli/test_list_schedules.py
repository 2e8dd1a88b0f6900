"""flatrec list schedules."""

from __future__ import annotations

import json

from torch.optim import lr_scheduler

from flatrec.registry.listing import setting_groups


def listed(flatrec):
    return {one["name"]: one for one in json.loads(flatrec("list", "schedules", "--json").out)["schedules"]}


def test_schedules_are_listed_with_what_must_be_given_and_what_has_a_default(flatrec):
    schedules = listed(flatrec)
    assert schedules["constant"] == {
        "name": "constant",
        "about": "The same learning rate in every epoch.",
        "required": [],
        "settings": {},
    }
    assert (schedules["steplr"]["required"], schedules["steplr"]["settings"]) == (["step_size"], {"gamma": 0.1})
    assert (schedules["cosineannealinglr"]["required"], schedules["cosineannealinglr"]["settings"]) == (
        ["T_max"],
        {"eta_min": 0.0},
    )
    assert all(one["about"].endswith(".") for one in schedules.values())


def test_every_listed_name_but_constant_is_a_class_of_torch(flatrec):
    classes = {name.lower() for name in vars(lr_scheduler)}
    assert set(listed(flatrec)) - classes == {"constant"}
    assert "reducelronplateau" not in listed(flatrec)  # it needs a metric


def test_the_table_shows_required_and_optional_settings_apart(flatrec):
    shown = " ".join(flatrec("list", "schedules").out.split())
    assert "│ step_size, gamma=0.1 │" in shown
    assert "max_lr, [total_steps], [epochs], [steps_per_epoch]" in shown


def test_settings_of_schedules_are_a_group(flatrec):
    groups = {one.name: one for one in setting_groups("schedule")}
    assert [groups["steplr"].key(setting) for setting in groups["steplr"].settings] == [
        "schedule.step_size",
        "schedule.gamma",
    ]
    assert groups["constant"].settings == ()
    assert "schedule.T_max" in flatrec("list", "settings", "cosineannealinglr").out
