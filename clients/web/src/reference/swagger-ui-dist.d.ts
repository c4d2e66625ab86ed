declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  /** Draw the reference into an element. */
  export default function SwaggerUI(options: Record<string, unknown>): unknown;
}
