# SPDX-License-Identifier: MIT
"""MongoDBInstrumentManager over mongomock, whose collections behave as pymongo's do."""
import collections.abc
import datetime
import os
import sys
import unittest

import bson
import mongomock
import pymongo.errors

import diagnose
from manager_support import Recorder, instruments_of, make_module, spec, utcnow


class Counting:
    """A collection that counts what is asked of it, and fails on demand."""

    def __init__(self, collection):
        self.collection = collection
        self.finds = 0
        self.updates = []
        self.failure = None
        self.fails_after = None

    def find(self):
        self.finds += 1
        if self.failure is not None:
            raise self.failure
        return self.documents() if self.fails_after is not None else self.collection.find()

    def documents(self):
        yield from list(self.collection.find())[:self.fails_after]
        raise pymongo.errors.AutoReconnect("lost in the middle")

    def update_one(self, filter, update):
        self.updates.append((filter, update))
        if self.failure is not None:
            raise self.failure
        return self.collection.update_one(filter, update)


class Manager(diagnose.managers.MongoDBInstrumentManager):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.instrument_classes = {"test": Recorder}
        self.errors = []

    def handle_error(self, probe=None, instrument=None):
        self.errors.append(str(sys.exc_info()[1]))


def now():
    """As precise as BSON is."""
    time = utcnow()
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class MongoTest(unittest.TestCase):
    def setUp(self):
        self.module = make_module("stored")
        self.collection = mongomock.MongoClient().db.instruments
        self.counting = Counting(self.collection)
        self.manager = Manager("host.example.com:1", self.counting)
        del Recorder.made[:]

    def tearDown(self):
        self.counting.failure = self.counting.fails_after = None
        self.collection.delete_many({})
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})

    def insert(self, id, target="stored.add", **changes):
        changes.setdefault("lastmodified", now())
        document = dict(spec(target, **changes), id=id)
        self.collection.insert_one(document)
        return document


class Following(MongoTest):
    def test_applied(self):
        document = self.insert("s")
        self.manager.apply()
        self.module.add(1)
        self.assertEqual(Recorder.made[-1].results, [2])
        entry = {"lm": document["lastmodified"], "err": None}
        self.assertEqual(self.collection.find_one()["applied"], {"host_example_com:1": entry})
        self.assertEqual(self.counting.updates, [
            ({"id": "s"}, {"$set": {"applied.host_example_com:1": entry}})])

    def test_one_query_and_no_write_when_nothing_has_changed(self):
        for number in range(20):
            self.insert(number)
        self.insert("bad", type="lgo")
        self.manager.apply()
        self.assertEqual((self.counting.finds, len(self.counting.updates)), (1, 21))
        for round in range(3):
            self.manager.apply()
            self.assertEqual((self.counting.finds, len(self.counting.updates)), (2 + round, 21))
        self.assertEqual(len(Recorder.made), 20)
        self.assertEqual(len(self.manager.errors), 1)

    def test_edited_by_another_process(self):
        self.insert("s", value="a")
        self.manager.apply()
        self.collection.update_one(
            {"id": "s"},
            {"$set": {"instrument.value": "a + 1",
                      "lastmodified": now() + datetime.timedelta(seconds=1)}})
        self.manager.apply()
        self.module.add(5)
        self.assertEqual([made.results for made in Recorder.made], [[], [6]])
        self.assertEqual(len(self.counting.updates), 2)
        self.collection.delete_one({"id": "s"})
        self.manager.apply()
        self.assertEqual(diagnose.probes.active_probes, {})
        self.assertEqual(len(self.counting.updates), 2)

    def test_two_processes_on_one_collection(self):
        other = Manager("other", self.collection)
        self.insert("s")
        self.manager.apply()
        other.apply()
        self.assertEqual(sorted(self.collection.find_one()["applied"]),
                         ["host_example_com:1", "other"])
        self.manager.apply()
        self.assertEqual(len(self.counting.updates), 1)
        self.collection.delete_many({})
        other.apply()

    def test_applied_by_an_earlier_process_of_this_name(self):
        document = self.insert("s")
        self.collection.update_one({"id": "s"}, {"$set": {"applied": {
            "host_example_com:1": {"lm": document["lastmodified"], "err": None}}}})
        self.manager.apply()
        self.assertEqual(self.counting.updates, [])
        self.assertEqual(len(instruments_of("stored.add")), 1)

    def test_ids(self):
        ids = [bson.ObjectId(), 7, "7", 2**40, None]
        for id in ids:
            self.insert(id)
        self.manager.apply()
        self.assertEqual(self.manager.errors, [])
        self.assertEqual(len(instruments_of("stored.add")), len(ids))
        self.assertEqual([list(update[0].values())[0] for update in self.counting.updates], ids)

    def test_id_field(self):
        self.insert("s")
        manager = Manager("p", self.collection, id_field="_id")
        manager.apply()
        self.assertEqual(list(self.collection.find_one()["applied"]), ["p"])
        self.collection.delete_many({})
        manager.apply()

    def test_specs_is_a_query_that_nobody_can_write_to(self):
        self.insert("s")
        specs = self.manager.specs
        self.assertIsInstance(specs, collections.abc.Mapping)
        self.assertEqual(specs["s"]["target"], "stored.add")
        with self.assertRaises(TypeError):
            specs["t"] = {}
        with self.assertRaises(AttributeError):
            self.manager.specs = {}

    def test_process_id_of_the_moment(self):
        manager = Manager(None, self.collection)
        self.insert("s")
        manager.apply()
        self.assertEqual(list(self.collection.find_one()["applied"]),
                         [manager.process_id.replace(".", "_")])
        self.assertIn(str(os.getpid()), manager.process_id)
        self.collection.delete_many({})
        manager.apply()

    def test_aware_datetimes(self):
        manager = Manager("p", self.collection.with_options(
            codec_options=bson.CodecOptions(tz_aware=True)))
        modified = now()
        self.insert("s", lastmodified=modified)
        manager.apply()
        self.assertEqual(manager.errors, [])
        self.assertEqual(Recorder.made[-1].expires, modified + datetime.timedelta(minutes=10))
        self.collection.delete_many({})
        manager.apply()

    def test_bson_numbers_and_dicts(self):
        document = self.insert("s", lifespan=bson.Int64(10))
        document["instrument"] = bson.SON(document["instrument"])
        self.counting.find = lambda: [bson.SON(document)]
        self.manager.apply()
        self.assertEqual(self.manager.errors, [])
        self.assertEqual(len(instruments_of("stored.add")), 1)
        del self.counting.find


class Errors(MongoTest):
    def test_the_network(self):
        self.insert("s")
        self.manager.apply()
        self.counting.failure = pymongo.errors.ServerSelectionTimeoutError("no server")
        self.insert("t", "stored.double")
        for _ in range(2):
            self.manager.apply()
        self.assertEqual(self.manager.errors, ["no server"] * 2)
        self.module.add(1)
        self.assertEqual(Recorder.made[-1].results, [2])
        self.counting.failure = None
        self.manager.apply()
        self.assertEqual(len(instruments_of("stored.double")), 1)

    def test_the_network_in_the_middle_of_a_query(self):
        for number in range(4):
            self.insert(number)
        self.manager.apply()
        self.counting.fails_after = 2
        self.manager.apply()
        self.assertEqual(self.manager.errors, ["lost in the middle"])
        self.assertEqual(len(instruments_of("stored.add")), 4)

    def test_writes_that_fail_are_tried_again(self):
        self.insert("s")

        def update_one(filter, update):
            raise pymongo.errors.WriteError("not writable")

        self.counting.update_one = update_one
        self.manager.apply()
        self.assertEqual(self.manager.errors, ["not writable"])
        self.assertEqual(len(instruments_of("stored.add")), 1)
        del self.counting.update_one
        self.manager.apply()
        self.assertEqual(list(self.collection.find_one()["applied"]), ["host_example_com:1"])

    def test_errors_of_specs_are_stored(self):
        self.insert("bad", type="lgo")
        self.insert("good")
        self.manager.apply()
        applied = self.collection.find_one({"id": "bad"})["applied"]["host_example_com:1"]
        self.assertEqual(applied["err"], 'instrument.type: "lgo" is not one of: test')
        self.assertEqual(len(instruments_of("stored.add")), 1)

    def test_documents_without_an_id_and_with_one_of_another(self):
        nameless = self.insert("s")
        self.collection.update_one({"id": "s"}, {"$unset": {"id": ""}})
        self.insert("t")
        twin = self.insert("t", "stored.double")
        nested = self.insert({"a": 1})
        for _ in range(2):
            self.manager.apply()
        self.assertEqual(self.manager.errors, [
            "id: missing in the document of _id %r" % nameless["_id"],
            "id: 't', of the document of _id %r, is that of an earlier document" % twin["_id"],
            "id: must be a plain value, not dict, in the document of _id %r" % nested["_id"],
        ])
        self.assertEqual(len(instruments_of("stored.add")), 1)
        self.assertEqual(instruments_of("stored.double"), {})

    def test_arguments(self):
        for arguments, error, text in [
            (("p", {}), TypeError, r"collection: dict has no find\(\)"),
            (("p", None), TypeError, "collection: NoneType"),
            (("p", self.collection, 5), TypeError, "id_field: must be a str, not int"),
            (("p", self.collection, ""), ValueError, "id_field: is empty"),
            ((5, self.collection), TypeError, "process_id"),
            (("", self.collection), ValueError, "process_id: is empty"),
            (("$p", self.collection), ValueError, r"process_id: '\$p'"),
            (("p\0q", self.collection), ValueError, "process_id: "),
            (("p",), TypeError, "collection"),
        ]:
            with self.subTest(arguments), self.assertRaisesRegex(error, text):
                diagnose.managers.MongoDBInstrumentManager(*arguments)

    def test_without_init(self):
        class Careless(Manager):
            def __init__(self):
                self.errors = []

        manager = Careless()
        manager.apply()
        self.assertEqual(manager.errors, ["specs: __init__ was not called with a collection"])


if __name__ == "__main__":
    unittest.main()
