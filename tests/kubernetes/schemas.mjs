// SPDX-License-Identifier: MIT
// Checks manifests against the schemas of the Kubernetes API and of cert-manager, strictly:
//
//     node schemas.mjs FOLDER <manifests.json >errors.json
//
// FOLDER is the node_modules with kubernetes-models and @kubernetes-models/cert-manager. Input: a list
// of manifests. Output: for each of them a list of errors, empty if it is fine.
//
// How it works: those packages have a compiled validator for each kind, which looks at the fields that
// the schema knows and passes over the others. So it is given a view of the manifest that notes which
// fields are looked at; what nobody looked at is unknown.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = ["kubernetes-models", "@kubernetes-models/cert-manager"];

// A view of `value`; functions that return the fields nobody has read are added to `checks`.
function watch(value, path, checks) {
  if (value === null || typeof value !== "object") return value;
  const isList = Array.isArray(value);
  const read = new Set();
  const views = new Map();
  checks.push(() =>
    isList ? [] : Object.keys(value).filter((key) => !read.has(key)).map((key) => `${path}.${key}`)
  );
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol") return target[key];
      read.add(key);
      if (!views.has(key))
        views.set(key, watch(target[key], isList ? `${path}[${key}]` : `${path}.${key}`, checks));
      return views.get(key);
    },
  });
}

async function findValidator(folder, manifest) {
  for (const name of PACKAGES) {
    const file = join(folder, name, String(manifest.apiVersion), `${manifest.kind}.js`);
    if (existsSync(file)) return (await import(pathToFileURL(file)))[manifest.kind].prototype.validate;
  }
  return null;
}

async function check(folder, manifest) {
  const validate = await findValidator(folder, manifest);
  if (validate === null) return [`there is no ${manifest.kind} in ${manifest.apiVersion}`];
  const checks = [];
  const view = watch(manifest, "", checks);
  try {
    validate.call(view);
  } catch (error) {
    // A schema that does not hold may end the walk early: unknown fields are told only without it.
    return [error.message];
  }
  return checks.flatMap((unread) => unread()).map((path) => `unknown field ${path}`);
}

const folder = process.argv[2];
const manifests = JSON.parse(readFileSync(0, "utf8"));
const errors = [];
for (const manifest of manifests) errors.push(await check(folder, manifest));
process.stdout.write(JSON.stringify(errors));
