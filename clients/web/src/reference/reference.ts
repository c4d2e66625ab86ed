/** The page at `/docs`: the API, to read and to try. All of it comes from the gateway. */

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./reference.css";

SwaggerUI({
  url: "/api/v1/openapi.json",
  domNode: document.getElementById("reference"),
  deepLinking: true,
  tryItOutEnabled: true,
  // It would send the description to a service elsewhere.
  validatorUrl: null,
});
