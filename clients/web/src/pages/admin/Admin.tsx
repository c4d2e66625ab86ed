/** Pages at `/admin`: how the service does, frames that went wrong, keys. */

import { NavLink, Route, Routes } from "react-router";
import { useMay, useSession } from "../../api/session";
import { Nothing } from "../../ui/Notice";
import styles from "./Admin.module.css";
import { Keys } from "./Keys";
import { useOperations } from "./operations";
import { Service } from "./Service";
import { Troubled } from "./Troubled";

export default function Admin() {
  const may = useMay("admin");
  const { proposal, beamline } = useSession();
  if (!may || proposal || beamline)
    return (
      <Nothing title="Not for this key">
        <p>
          Running the service needs a key with the scope <code>admin</code> that is bound to no
          proposal and no beamline.
        </p>
      </Nothing>
    );
  return (
    <div className={styles.admin}>
      <header className={styles.head}>
        <h1>Admin</h1>
        <Parts />
      </header>
      <Routes>
        <Route index element={<Service />} />
        <Route path="quarantine" element={<Troubled key="quarantined" state="quarantined" />} />
        <Route path="failed" element={<Troubled key="failed" state="failed" />} />
        <Route path="keys" element={<Keys />} />
        <Route
          path="*"
          element={<Nothing title="No such page">Choose one of the parts above.</Nothing>}
        />
      </Routes>
    </div>
  );
}

function Parts() {
  const { data } = useOperations();
  return (
    <nav aria-label="Parts of admin" className={styles.parts}>
      <Part to="/admin" name="Service" />
      <Part to="/admin/quarantine" name="Quarantine" count={data?.quarantined} />
      <Part to="/admin/failed" name="Failed" count={data?.failed} />
      <Part to="/admin/keys" name="Keys" />
    </nav>
  );
}

function Part(props: { to: string; name: string; count?: number }) {
  return (
    <NavLink to={props.to} end className={styles.part}>
      {props.name}
      {props.count ? <span className={styles.count}>{props.count.toLocaleString()}</span> : null}
    </NavLink>
  );
}
