/* SPDX-License-Identifier: MIT */
#include "ctl/help.h"

#include <string.h>

static const char apply_details[] =
    "Creates each spec of the manifest, or replaces the one of the same id and renews its\n"
    "lifespan. The whole file is checked before anything is sent; then the specs are applied\n"
    "in order, up to the first one that the server refuses.\n"
    "\n"
    "A manifest is YAML or JSON, at most 1 MiB, with one spec, a list of specs, or several\n"
    "documents separated by ---:\n"
    "\n"
    "  id: cart-total                  # A-Z a-z 0-9 . _ -\n"
    "  target: shop.cart.Cart.total    # package.module.Class.method, or: see below\n"
    "  instrument:\n"
    "    type: log                     # one event per hit; or incr, hist: totals in place\n"
    "    name: shop.cart.total         # optional\n"
    "    value: elapsed                # a Python expression\n"
    "    event: return                 # call, return (the default), end or line:N\n"
    "    custom:                       # optional; anything\n"
    "      tags: '{\"region\": self.region}'\n"
    "  lifespan: 10                    # minutes, fractions allowed\n"
    "  selector:                       # optional: only sidecars with all of these labels\n"
    "    labels: {tier: web}\n"
    "\n"
    "A target may also be a nested function (shop.make.<locals>.inner), a lambda\n"
    "(shop.<lambda>, shop.make.<locals>.<lambda>), or the functions that hold a line of a file\n"
    "(shop/cart.py:42).\n"
    "\n"
    "Events: call, before the function runs; return, after it has returned or raised; end, in the\n"
    "function just before that, where its variables can be seen; line:N, in the function just\n"
    "before line N of its file is executed.\n"
    "\n"
    "Examples:\n"
    "  diagnosectl apply -f cart-total.yaml\n"
    "  cat specs/*.yaml | diagnosectl apply -f -\n"
    "  diagnosectl get specs cart-total -o yaml | diagnosectl apply -f -\n";

static const char get_specs_details[] =
    "STATE is Armed (in the processes that ARMED counts), Pending (in none yet), Failed (in one at "
    "least),\n"
    "Waiting (no process has it to do) or Expired. ARMED is armed/matched processes.\n"
    "\n"
    "Examples:\n"
    "  diagnosectl get specs\n"
    "  diagnosectl get specs cart-total catalog-find\n"
    "  diagnosectl get specs -o json | jq -r '.[] | select(.status.state != \"Armed\") | .id'\n";

static const char get_processes_details[] =
    "SPECS is armed/known specs, LOST the events that the process lost in all, SIDECAR the\n"
    "beginning of its sidecar's uid. STATE is Connected, or Refused with the reason: the sidecar "
    "is\n"
    "at one of its limits, and nothing is armed in the process.\n"
    "\n"
    "Examples:\n"
    "  diagnosectl get processes\n"
    "  diagnosectl get processes -o json | jq '.[].pid'\n";

static const char describe_details[] =
    "Shows the spec, and for each process its state there: Armed, Pending (the module is not\n"
    "imported yet), Failed or Tripped (with the reason), Expired or Removed; how it is\n"
    "covered: MECHANISM, FUNCTIONS and CODES (how many function and code objects); whether it is\n"
    "PURE: the expressions provably have no side effects; hits, errors, dropped events, and calls\n"
    "that were skipped. MESSAGE says whether a spec without hits was not called, or what of its\n"
    "target is not seen; and why calls were skipped:\n"
    "\n"
    "  reentrant   made while an instrument ran on the same thread\n"
    "  in flight   begun before the spec was armed\n"
    "  unbound     a name that the expression uses had no value\n"
    "  filtered    made on another instance than the target's\n"
    "\n"
    "Examples:\n"
    "  diagnosectl describe spec cart-total\n"
    "  diagnosectl describe spec cart-total -o json | jq '.status.processes[].status'\n";

static const char delete_details[] =
    "Takes the specs out of the whole fleet. The others are deleted even if one is not found.\n"
    "\n"
    "Examples:\n"
    "  diagnosectl delete spec cart-total catalog-find\n"
    "  diagnosectl delete -f specs.yaml\n";

static const char events_details[] =
    "Prints events as they come, one line each, until Ctrl-C (exit code 0), --count or\n"
    "--seconds:\n"
    "\n"
    "  12:00:01.123456 pid=4711 cart-total 0.00213 {region=eu}\n"
    "  12:00:02.000001 pid=4711 cart-total error: NameError: name 'x' is not defined\n"
    "\n"
    "Of incr and hist instruments, about once a second, what was added and the sum since the\n"
    "process began to count; and of a histogram also what its buckets tell:\n"
    "\n"
    "  12:00:01.000000 pid=4711 cart-count +5 (sum 120) {region=eu}\n"
    "  12:00:01.000000 pid=4711 cart-time count 9 sum 2.1 min 0.1 p50 0.2 p90 0.3 p99 0.4 max 0.4\n"
    "\n"
    "Events that were lost on the way are counted on standard error. `diagnosectl help output`\n"
    "says what an event looks like as JSON and YAML.\n"
    "\n"
    "Examples:\n"
    "  diagnosectl events\n"
    "  diagnosectl events --spec cart-total --count 100\n"
    "  diagnosectl events --seconds 60 -o json | jq -r '[.pid, .value] | @tsv'\n";

static const char version_details[] = "Examples:\n"
                                      "  diagnosectl version\n"
                                      "  diagnosectl version -o json | jq -r .version\n";

static const char help_details[] = "Examples:\n"
                                   "  diagnosectl help\n"
                                   "  diagnosectl help apply\n"
                                   "  diagnosectl help output\n";

const struct diag_command diag_help_commands[] = {
    {"apply", NULL, NULL, "-f FILE", "create or replace the specs of a manifest", apply_details,
     DIAG_OPTION_FILE, diag_command_apply},
    {"get", "specs", "spec", "[ID...]", "list specs and how far they have got", get_specs_details,
     0, diag_command_get_specs},
    {"get", "processes", "process", "", "list the instrumented processes", get_processes_details, 0,
     diag_command_get_processes},
    {"describe", "spec", "specs", "ID", "show a spec and its state in each process",
     describe_details, 0, diag_command_describe},
    {"delete", "spec", "specs", "ID...", "take specs out of the fleet (or: delete -f FILE)",
     delete_details, DIAG_OPTION_FILE, diag_command_delete},
    {"events", NULL, NULL, "[--spec ID]...", "watch events live", events_details,
     DIAG_OPTION_SPEC | DIAG_OPTION_LIMITS, diag_command_events},
    {"version", NULL, NULL, "", "show the version", version_details, 0, diag_command_version},
    {"help", NULL, NULL, "[COMMAND]", "show help on a command, or on: output", help_details, 0,
     NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL},
};

static const char output_help[] =
    "-o table is for people, and may change. -o json and -o yaml are for programs: keys are only\n"
    "ever added. Lists are one JSON list, or one YAML document for each item.\n"
    "\n"
    "Specs are printed as in a manifest (see `diagnosectl help apply`), and what the server knows\n"
    "of them under `status`, which apply ignores: revision, created, modified, expires; get and\n"
    "describe add state, matched, pending, armed, failed, expired, hits, errors, dropped,\n"
    "skipped; describe adds processes, each with its status: state, message, mechanism, excluded\n"
    "(what is not seen), functions, codes, pure, hits, errors, dropped, and skips, a list of\n"
    "{cause, count}. Times are RFC 3339 texts in UTC; beside each there is KEY_unix_nanos, its\n"
    "nanoseconds since the Unix epoch as a number.\n"
    "\n"
    "An event has: time, time_unix_nanos, process_uid, pid, thread_id, spec_id, spec_revision,\n"
    "kind (hit or error), value (of a hit), error (of an error: what the expression raised), and\n"
    "tags, a list of {key, value}. events -o json prints one event per line.\n"
    "\n"
    "Among them are totals, of incr and hist instruments, since `start`: kind is counter or\n"
    "histogram; there are name, sum, count and is_overflow (true: this is for all tag sets that\n"
    "did not fit), but no thread_id. A counter has added, the part of the sum that was not in the\n"
    "line before it of the same total. A histogram has min, max, p50, p90 and p99 (estimates),\n"
    "and OTLP's scale, zero_count, positive and negative buckets, each {offset, counts}.\n"
    "\n"
    "A Python value is itself where JSON has the like of it: None, bool, int, float, str, list\n"
    "(and tuple), and a dict whose keys are all text that does not begin with $. Else it is one\n"
    "of these:\n"
    "  {\"$bytes\": \"AAEC\"}                           bytes, in base64\n"
    "  {\"$repr\": {\"type\": \"decimal.Decimal\", \"text\": \"Decimal('1.5')\"}}\n"
    "  {\"$dict\": [[KEY, VALUE], ...]}               any other dict\n"
    "  {\"$cut\": VALUE, \"original_size\": 90000}      a value that was too large, and was cut\n"
    "A float that is not finite is \"nan\", \"inf\" or \"-inf\" in JSON, and .nan, .inf or -.inf "
    "in\n"
    "YAML.\n";

static const char exit_help[] = "Exit codes:\n"
                                "  0  done\n"
                                "  1  the server refused, or something failed\n"
                                "  2  bad command line or manifest; nothing was sent\n"
                                "  3  there is no such spec\n"
                                "  4  the server cannot be reached, or did not answer in time\n";

static void print_all(FILE *file) {
    fputs("diagnosectl instruments running Python programs and watches their events.\n\n"
          "Usage: diagnosectl COMMAND [FLAGS]\n\nCommands:\n",
          file);
    for (const struct diag_command *command = diag_help_commands; command->verb != NULL;
         command++) {
        char left[64];

        snprintf(left, sizeof left, "%s%s%s %s", command->verb, command->noun != NULL ? " " : "",
                 command->noun != NULL ? command->noun : "", command->arguments);
        fprintf(file, "  %-24s %s\n", left, command->summary);
    }
    fputs("\nFlags of every command:\n", file);
    diag_options_print_global(file);
    fprintf(file,
            "\n%s\nExamples:\n  diagnosectl apply -f cart-total.yaml\n"
            "  diagnosectl get specs\n  diagnosectl events --spec cart-total\n"
            "\n`diagnosectl COMMAND --help` says more.\n",
            exit_help);
}

static void print_command(FILE *file, const struct diag_command *command) {
    fprintf(file, "Usage: diagnosectl %s%s%s %s [FLAGS]\n\n%c%s.\n\n%s", command->verb,
            command->noun != NULL ? " " : "", command->noun != NULL ? command->noun : "",
            command->arguments, command->summary[0] - 'a' + 'A', command->summary + 1,
            command->details);
    if (command->has != 0) {
        fputs("\nFlags:\n", file);
        diag_options_print(file, command->has);
    }
    fprintf(file, "\nFlags of every command:\n");
    diag_options_print_global(file);
    fprintf(file, "\n%s", exit_help);
}

static bool is_named(const struct diag_command *command, char *const *words, size_t word_count) {
    if (strcmp(command->verb, words[0]) != 0)
        return false;
    return word_count == 1 || command->noun == NULL || strcmp(command->noun, words[1]) == 0 ||
           strcmp(command->nouns_too, words[1]) == 0;
}

bool diag_help_print(FILE *file, char *const *words, size_t word_count) {
    bool is_found = false;

    if (word_count == 0) {
        print_all(file);
        return true;
    }
    if (strcmp(words[0], "output") == 0) {
        fputs(output_help, file);
        return true;
    }
    for (const struct diag_command *command = diag_help_commands; command->verb != NULL;
         command++) {
        if (!is_named(command, words, word_count))
            continue;
        if (is_found)
            fputs("\n\n", file);
        print_command(file, command);
        is_found = true;
    }
    return is_found;
}
