// Runs named steps one after the other and prints what became of each as one line of JSON.
import { readFileSync } from "node:fs";

export const base = process.env.FHIR_BASE;
export const token = process.env.FHIR_TOKEN;
export const picture = readFileSync(process.env.FHIR_PICTURE);

export const aMedia = (more = {}) => ({
  resourceType: "Media",
  status: "completed",
  subject: { reference: "Patient/anna" },
  content: { title: "a picture" },
  ...more,
});

// Two new resources that refer to each other, and one that must not be made twice.
export const aTransaction = (mark) => ({
  resourceType: "Bundle",
  type: "transaction",
  entry: [
    {
      fullUrl: "urn:uuid:11111111-1111-4111-8111-111111111111",
      resource: { resourceType: "Patient", active: true, identifier: [{ system: "urn:marks", value: mark }] },
      request: { method: "POST", url: "Patient", ifNoneExist: `identifier=urn:marks|${mark}` },
    },
    {
      fullUrl: "urn:uuid:22222222-2222-4222-8222-222222222222",
      resource: aMedia({ subject: { reference: "urn:uuid:11111111-1111-4111-8111-111111111111" }, deviceName: mark }),
      request: { method: "POST", url: "Media" },
    },
  ],
});

export const idIn = (location, type) => new RegExp(`${type}/([^/]+)`).exec(location)[1];

// Equality of JSON values; says what differs.
export function same(found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
}

export async function refused(promise, status) {
  const error = await promise.then(() => { throw new Error("was not refused"); }, (caught) => caught);
  const found = error.response?.status ?? error.statusCode ?? error.status;
  if (found !== status) throw error;
  return error;
}

export async function run(steps) {
  for (const [step, work] of Object.entries(steps)) {
    let problem = null;
    try {
      await work();
    } catch (error) {
      problem = String(error?.stack ?? error) + " " + JSON.stringify(error?.response?.data ?? null);
    }
    console.log(JSON.stringify({ step, problem }));
  }
}
