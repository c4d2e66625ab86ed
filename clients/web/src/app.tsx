/** The routes of the pages. */

import { lazy, Suspense, useEffect } from "react";
import { Navigate, Route, Routes } from "react-router";
import { SessionProvider, useCurrentSession } from "./api/session";
import { Login } from "./pages/login/Login";
import { Wall } from "./pages/wall/Wall";
import { Loading, Nothing } from "./ui/Notice";
import { Shell } from "./ui/Shell";

const importFrame = () => import("./pages/frame/Frame");
const Frame = lazy(importFrame);
const Models = lazy(() => import("./pages/models/Models"));
const Model = lazy(() => import("./pages/models/Model"));
const Training = lazy(() => import("./pages/training/Training"));
const Trainings = lazy(() => import("./pages/training/Trainings"));
const Review = lazy(() => import("./pages/review/Review"));
const Search = lazy(() => import("./pages/search/Search"));
const Admin = lazy(() => import("./pages/admin/Admin"));

/** The largest page, and the one that is opened next, is fetched when the first has settled. */
const FETCH_FRAME_MS = 2000;

/** All pages; without a session the login alone. */
export function App() {
  const { data: session, error, isPending, refetch } = useCurrentSession();
  const isIn = Boolean(session);
  useEffect(() => {
    if (!isIn) return;
    const timer = setTimeout(importFrame, FETCH_FRAME_MS);
    return () => clearTimeout(timer);
  }, [isIn]);
  if (isPending) return <Loading what="Scatterlens" />;
  if (error) return <Login problem={error} onDone={refetch} />;
  if (session === null) return <Login onDone={refetch} />;
  return (
    <SessionProvider session={session}>
      <Shell>
        <Suspense fallback={<Loading what="page" />}>
          <Routes>
            <Route index element={<Wall />} />
            <Route path="frames/:frameId" element={<Frame />} />
            <Route path="search" element={<Search />} />
            <Route path="review" element={<Review />} />
            <Route path="models" element={<Models />} />
            <Route path="models/:version" element={<Model />} />
            <Route path="training" element={<Trainings />} />
            <Route path="training/:runId" element={<Training />} />
            <Route path="admin/*" element={<Admin />} />
            <Route path="login" element={<Navigate to="/" replace />} />
            <Route
              path="*"
              element={<Nothing title="No such page">The address has no page.</Nothing>}
            />
          </Routes>
        </Suspense>
      </Shell>
    </SessionProvider>
  );
}
