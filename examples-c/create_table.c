/*
 * create_table: prints the SQL of a database cache's table, and makes the table if it is asked to: what Django's
 * `manage.py createcachetable` and its `--dry-run` do.
 *
 *     cc create_table.c -llarder -o create_table
 *     ./create_table database.json database            # prints the SQL, and asks no database
 *     ./create_table database.json database make       # makes the table, where it is not there
 */
#include <larder.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what, larder_status status, larder_error *error)
{
    fprintf(stderr, "%s: %s: %s\n", what, larder_status_name(status), larder_error_message(error));
    larder_error_release(error);
    return 1;
}

/* The length is asked for first, with no buffer at all. */
static int print_sql(const larder_store *store)
{
    larder_error *error = NULL;
    size_t len = 0;
    char *sql;
    larder_status status = larder_table_sql(store, NULL, 0, &len, &error);

    if (status < 0)
        return failed("the SQL", status, error);
    sql = malloc(len + 1);
    if (sql == NULL)
        return 1;
    status = larder_table_sql(store, sql, len, &len, &error);
    if (status == LARDER_OK)
        printf("%.*s", (int)len, sql);
    free(sql);
    return status == LARDER_OK ? 0 : failed("the SQL", status, error);
}

static int make(const larder_store *store)
{
    larder_error *error = NULL;
    larder_status status = larder_create_table(store, NULL, &error);

    if (status < 0)
        return failed("making the table", status, error);
    printf("the table is there\n");
    return 0;
}

int main(int argc, char **argv)
{
    larder_context *context = NULL;
    larder_store *store = NULL;
    larder_error *error = NULL;
    larder_status status;
    int outcome;

    if (argc < 3) {
        fprintf(stderr, "usage: create_table DATABASE.JSON ALIAS [make]\n");
        return 2;
    }
    status = larder_open_file(argv[1], NULL, &context, &error);
    if (status < 0)
        return failed(argv[1], status, error);
    status = larder_store_open(context, argv[2], &store, &error);
    if (status < 0) {
        larder_shutdown(context, 1000, NULL);
        return failed(argv[2], status, error);
    }
    outcome = argc > 3 && strcmp(argv[3], "make") == 0 ? make(store) : print_sql(store);
    larder_store_close(store);
    larder_shutdown(context, 1000, NULL);
    return outcome;
}
