"""What the Python side of a test shares: requests come as lines of JSON, and are answered as lines of JSON."""

import json
import sys

import pymysql

pymysql.install_as_MySQLdb()  # for Django


def serve(functions):
    """Answers requests {"do": the name of a function, its arguments …} until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": functions[request.pop("do")](**request)}
        except Exception as error:
            answer = {"raised": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


class Router:
    """Tells Django in which database a cache's table is; unless told otherwise, in `default`."""

    databases = {}  # of tables

    def db_for_read(self, model, **hints):
        return self.databases.get(model._meta.db_table)

    db_for_write = db_for_read


def create_table(database, table):
    """Makes a cache's table as Django does."""
    from django.core.management import call_command

    call_command("createcachetable", table, database=database)
